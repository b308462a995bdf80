"""`tokens.*`: the tokens of the server, for administrators, on every front end."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow_auth.tokens import Token, Tokens, now
from apflow_hookspecs import Caller, Engine, NoParams, Problem, operation, rfc3339
from apflow_hookspecs.errors import InvalidParams, NotFound

LONGEST_LIFE = 100 * 366 * 86_400


class Scope(StrEnum):
    """What a token may be allowed."""

    READ = "read"
    SUBMIT = "submit"
    CANCEL = "cancel"
    ADMIN = "admin"


@frozen
class NewToken:
    """What a token may, and on whose behalf."""

    scopes: Annotated[list[Scope], Meta(min_length=1, description="What it may; admin includes all others.")]
    user_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255)] | None,
        Meta(description="The user on whose behalf it speaks; only one with the scope admin can do without."),
    ] = None
    expires_in: Annotated[
        Annotated[float, Meta(gt=0, le=LONGEST_LIFE)] | None,
        Meta(description="Seconds for which it is valid; null is for ever."),
    ] = None
    name: Annotated[Annotated[str, Meta(max_length=255)] | None, Meta(description="What it is for.")] = None


@frozen
class OneToken:
    """Which token."""

    id: Annotated[str, Meta(description="Its id: what stands in it between apf_ and the next _.")]


class TokenView(TypedDict):
    """A token, without what could be shown to the server; `expired` tells whether its time is over."""

    id: str
    name: str | None
    user_id: str | None
    scopes: list[str]
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None
    expired: bool


class CreatedToken(TokenView):
    """A token, with its text, which is shown only now."""

    token: str


class TokenList(TypedDict):
    """Tokens, the oldest first."""

    tokens: list[TokenView]


class RevokedToken(TypedDict):
    """The id of the token that is denied from now on."""

    revoked: str


@operation("tokens.create", scope="admin", params=NewToken, result=CreatedToken)
async def create(engine: Engine, _caller: Caller, params: NewToken) -> CreatedToken:
    """Create a token for the server; its text is answered once, and kept nowhere."""
    if params.user_id is None and Scope.ADMIN not in params.scopes:
        rule = "must be given; only a token with the scope 'admin' can do without a user"
        raise InvalidParams(problems=(Problem(rule, field="user_id", value=None, code=InvalidParams.code),))
    scopes = {scope.value for scope in params.scopes}
    token, text = await Tokens(engine.storage).create(params.user_id, scopes, name=params.name, lifetime=params.expires_in)
    return {**_view(token), "token": text}


@operation("tokens.list", scope="admin", params=NoParams, result=TokenList)
async def list_tokens(engine: Engine, _caller: Caller, _: NoParams) -> TokenList:
    """The tokens of the server, also those that have expired, without their texts."""
    return {"tokens": [_view(token) for token in await Tokens(engine.storage).stored()]}


@operation("tokens.revoke", scope="admin", params=OneToken, result=RevokedToken, errors=(NotFound,))
async def revoke(engine: Engine, _caller: Caller, params: OneToken) -> RevokedToken:
    """Revoke a token: from now on it is denied, also by a server that runs."""
    if not await Tokens(engine.storage).revoke(params.id):
        raise NotFound(f"there is no token {params.id!r}")
    return {"revoked": params.id}


def _view(token: Token) -> TokenView:
    return {
        "id": token.id,
        "name": token.name,
        "user_id": token.user_id,
        "scopes": list(token.scopes),
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(token.last_used_at),
        "expired": token.expired(now()),
    }


OPERATIONS = (create, list_tokens, revoke)
