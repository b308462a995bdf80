"""What an operator may set: the section `[auth]`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from apflow_hookspecs import SCOPES
from apflow_hookspecs.errors import shortened

SECRET_BYTES: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Least length of the secret for each algorithm that has one (RFC 7518, section 3.2)."""
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms with a public key."""
SOURCES = ("key_file", "secret_file", "secret_env", "jwks_url")
MOST_LEEWAY = 60


def _leeway(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0 <= value <= MOST_LEEWAY:
        raise ValueError(f"{attribute.name} = {value}: must be 0 to {MOST_LEEWAY} seconds")


def _roles(_: Any, attribute: Attribute[Mapping[str, tuple[str, ...]]], value: Mapping[str, tuple[str, ...]]) -> None:
    for role, scopes in value.items():
        for scope in scopes:
            if scope not in SCOPES:
                known = ", ".join(sorted(SCOPES))
                raise ValueError(f"{attribute.name}.{role}: there is no scope {shortened(scope)}, only {known}")


@frozen(kw_only=True)
class Jwt:
    """The table `[auth.jwt]`: whose JSON Web Tokens count, and what they may.

    Args:
        algorithms: Those that count; by default HS256 with a secret, else RS256 and ES256.
        key_file: Absolute path of the public key, in PEM. Exactly one of this and the next three is needed.
        secret_file: Absolute path of the shared secret, of mode 0600.
        secret_env: The environment variable that has it.
        jwks_url: Where the public keys are published: https, or http on this machine.
        audience: What `aud` has to hold; without it, a token that has an audience is denied.
        issuer: What `iss` has to be.
        leeway: Seconds by which clocks may differ, at most 60.
        user_claim: The claim that names the user.
        scopes_claim: The claim with the scopes, as an array or a text with spaces between; unknown ones are passed over.
        roles_claim: The claim with a role as text, or with several in an array.
        roles: Scopes by role.
    """

    algorithms: tuple[str, ...] = ()
    key_file: str | None = None
    secret_file: str | None = None
    secret_env: str | None = None
    jwks_url: str | None = None
    audience: str | None = None
    issuer: str | None = None
    leeway: float = field(default=10.0, validator=_leeway)
    user_claim: str = "sub"
    scopes_claim: str = "scope"
    roles_claim: str = "roles"
    roles: Mapping[str, tuple[str, ...]] = field(factory=dict, validator=_roles)

    def __attrs_post_init__(self) -> None:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(SOURCES)}, and has {' and '.join(given) or 'none'}")
        self._check_source()
        self._check_algorithms()

    @property
    def allowed(self) -> tuple[str, ...]:
        """The algorithms that count."""
        return self.algorithms or (("HS256",) if self.has_secret else ("RS256", "ES256"))

    @property
    def has_secret(self) -> bool:
        """Whether who checks tokens could also make them."""
        return self.secret_file is not None or self.secret_env is not None

    def _check_source(self) -> None:
        for name in ("key_file", "secret_file"):
            path = getattr(self, name)
            if path is not None and (not path.startswith("/") or "\0" in path):
                raise ValueError(f"{name} = {shortened(path)}: must be an absolute path")
        if self.secret_env is not None and (not self.secret_env or set(self.secret_env) & {"=", "\0"}):
            raise ValueError(f"secret_env = {shortened(self.secret_env)}: must be the name of a variable")
        if self.jwks_url is not None and not _is_safe(self.jwks_url):
            raise ValueError(f"jwks_url = {shortened(self.jwks_url)}: must be an https URL, or an http one of this machine")

    def _check_algorithms(self) -> None:
        fitting = tuple(SECRET_BYTES) if self.has_secret else SIGNATURES
        for algorithm in self.algorithms:
            if algorithm not in fitting:
                kind = "a secret" if self.has_secret else "public keys"
                raise ValueError(
                    f"algorithms: {shortened(algorithm)} must be one of {', '.join(fitting)}, which go with {kind}"
                )


@frozen
class Options:
    """The section `[auth]`.

    Args:
        required: Whether the server asks for a credential also while there is none, so that it is never open.
        jwt: Whose JSON Web Tokens count; None is nobody's.
    """

    required: bool = False
    jwt: Jwt | None = None


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
