"""Who makes a request, by the token that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from apflow_auth.options import Options
from apflow_auth.presented import token_of
from apflow_auth.refusal import InvalidToken
from apflow_auth.tokens import Tokens, now
from apflow_auth.webtokens import WebTokens
from apflow_hookspecs import Caller, Engine

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


@frozen
class Gate:
    """What counts as a credential.

    Args:
        tokens: Those of the storage.
        web_tokens: Those of others; None where nobody's count.
        required: Whether a credential is asked for even while there is none.
    """

    tokens: Tokens
    web_tokens: WebTokens | None
    required: bool

    @classmethod
    def of(cls, engine: Engine) -> Gate:
        """As the operator configured it.

        Raises:
            ConfigError: That cannot be used.
        """
        options = engine.section("auth", Options)
        return cls(Tokens(engine.storage), None if options.jwt is None else WebTokens.of(options.jwt), options.required)

    async def credentials(self) -> list[str]:
        """What is configured, in words; tokens that have expired too, so that their end leaves no server open."""
        stored, at = await self.tokens.stored(), now()
        expired = sum(token.expired(at) for token in stored)
        told = [_counted(len(stored) - expired, "token")] if len(stored) > expired else []
        if expired:
            told.append(_counted(expired, "expired token"))
        if self.web_tokens is not None:
            told.append(str(self.web_tokens))
        return told or (["a token, of which there is none yet"] if self.required else [])

    async def caller(self, request: HTTPConnection) -> Caller | None:
        """Who makes a request; None where it shows no token.

        Raises:
            InvalidToken: What it shows does not count.
            ExpiredToken: Its time is over.
        """
        token = token_of(request)
        if token is None:
            return None
        if token.startswith("apf_"):
            return await self.tokens.caller(token)
        if self.web_tokens is None:
            raise InvalidToken
        return await self.web_tokens.caller(token)


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
