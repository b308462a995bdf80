"""JSON Web Tokens (RFC 7519), checked as RFC 8725 advises: the operator says which algorithms and keys count, no token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from apflow_auth.jwks import KeySet
from apflow_auth.keys import FixedKey, Key, configured_key
from apflow_auth.options import Jwt
from apflow_auth.refusal import ExpiredToken, InvalidToken
from apflow_hookspecs import SCOPES, Caller, Json

LONGEST_NAME = 255

_HEADERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
"""What a header may hold: neither keys nor where to find them, no extension, and nothing packed inside."""
_TIMES = ("exp", "nbf", "iat")


class Keys(Protocol):
    """Where keys come from."""

    async def keys(self, key_id: str | None) -> Sequence[Key]:
        """The keys that a token may be signed with which names a key."""
        ...


class WebTokens:
    """The JSON Web Tokens that count.

    Args:
        options: What the operator says about them.
        keys: With which they are signed.
        algorithms: By which.
    """

    def __init__(self, options: Jwt, keys: Keys, algorithms: tuple[str, ...]) -> None:
        self._options = options
        self._keys = keys
        self.algorithms = algorithms

    @classmethod
    def of(cls, options: Jwt) -> WebTokens:
        """Those that a configuration speaks of.

        Raises:
            ConfigError: Its key cannot be used.
        """
        if options.jwks_url is not None:
            return cls(options, KeySet(options.jwks_url, options.allowed), options.allowed)
        key = configured_key(options)
        return cls(options, FixedKey(key), key.algorithms)

    def __str__(self) -> str:
        return f"JSON Web Tokens ({', '.join(self.algorithms)})"

    async def caller(self, token: str) -> Caller:
        """Who shows a token.

        Raises:
            InvalidToken: It does not count.
            ExpiredToken: Its time is over.
        """
        header = self._header(token)
        for key in await self._keys.keys(header.get("kid")):
            if header["alg"] in key.algorithms:
                return self._caller(self._claims(token, key))
        raise InvalidToken

    def _header(self, token: str) -> Mapping[str, Any]:
        from jwt import PyJWTError, get_unverified_header  # noqa: PLC0415 - heavy

        try:
            header = get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise InvalidToken from None
        if (
            not header.keys() <= _HEADERS
            or header.get("alg") not in self.algorithms
            or not isinstance(header.get("kid"), str | None)
        ):
            raise InvalidToken
        return header

    def _claims(self, token: str, key: Key) -> Mapping[str, Any]:
        import jwt  # noqa: PLC0415 - heavy

        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.value,
                algorithms=list(key.algorithms),
                audience=self._options.audience,
                issuer=self._options.issuer,
                leeway=self._options.leeway,
                options={"require": ["exp", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredToken from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise InvalidToken from None
        if not all(_is_time(claims[name]) for name in _TIMES if name in claims):
            raise InvalidToken
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        user = claims.get(self._options.user_claim)
        if not _is_name(user) or not _is_name(claims["sub"]):
            raise InvalidToken
        scopes = set(_texts(claims.get(self._options.scopes_claim), split=True)) & SCOPES
        for role in _texts(claims.get(self._options.roles_claim)):
            scopes |= set(self._options.roles.get(role, ()))
        return Caller(user, frozenset(scopes), "remote")


def _is_time(value: Json) -> bool:
    """PyJWT takes a text, or true, for a number too."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _texts(value: Json, *, split: bool = False) -> list[str]:
    if isinstance(value, str):
        return value.split(" ") if split else [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
