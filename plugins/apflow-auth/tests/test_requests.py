"""What a request may show, and what is told of it."""

from __future__ import annotations

import base64

import pytest

from apflow_auth.refusal import ExpiredToken, InvalidToken
from apflow_hookspecs import Caller

from .conftest import guarded


@pytest.fixture
async def guard():
    async with guarded() as guard:
        yield guard


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_one_bearer_token_in_one_header_counts(guard, scheme):
    assert await guard.caller(f"{scheme} {await guard.make('ada', 'read')}") == Caller("ada", frozenset({"read"}))


async def test_without_a_token_nobody_is_known(guard):
    assert await guard.caller() is None


@pytest.mark.parametrize(
    "credential", ["Basic {basic}", "Digest username=ada", "Negotiate abc", "{token}", " Bearer {token}", "Bearer\t{token}", ""]
)
async def test_a_credential_of_another_kind_is_left_to_others(guard, credential):
    token = await guard.make()
    basic = base64.b64encode(f"ada:{token}".encode()).decode()
    assert await guard.caller(credential.format(token=token, basic=basic)) is None


@pytest.mark.parametrize(
    "credential",
    [
        "Bearer", "Bearer ", "Bearer  {token}", "Bearer {token} ", "Bearer {token} {token}", "Bearer {token},",
        "Bearer \t{token}", 'Bearer "{token}"', "Bearer {token}\x00", "Bearer {token}\xe9", "Bearer x", "Bearer a.b.c",
        "Bearer {token}, Bearer {token}", "Bearer token={token}",
    ],
)  # fmt: skip
async def test_whatever_else_calls_itself_a_bearer_token_does_not_count(guard, credential):
    with pytest.raises(InvalidToken) as refused:
        await guard.caller(credential.format(token=await guard.make()))
    assert refused.value.message == "The token is invalid."


async def test_two_headers_are_refused_also_where_both_count(guard):
    token = await guard.make()
    for second in (f"Bearer {token}", "Bearer x", "Basic abc", ""):
        with pytest.raises(InvalidToken):
            await guard.caller(f"Bearer {token}", second)


@pytest.mark.parametrize("query", ["token={token}", "access_token={token}", "a=1&Access_Token={token}", "token="])
async def test_a_token_in_the_address_is_refused_with_a_word(guard, query):
    token = await guard.make()
    for headers in ([], [f"Bearer {token}"]):
        with pytest.raises(InvalidToken, match="belongs into the header Authorization, and never into the address") as refused:
            await guard.caller(*headers, query=query.format(token=token))
        assert token not in refused.value.message


@pytest.mark.parametrize("size", [20_000, 100_000, 1_000_000])
async def test_a_header_that_is_too_long_is_refused_unread(guard, size):
    with pytest.raises(InvalidToken):
        await guard.caller("Bearer " + "a" * size)
    with pytest.raises(InvalidToken):
        await guard.caller("Bearer " + "(" * size)


async def test_what_has_expired_is_told_as_such_and_no_more(guard):
    token = await guard.make(lifetime=0.000001)
    with pytest.raises(ExpiredToken) as refused:
        await guard.bearer(token)
    assert refused.value.message == "The token has expired."


async def test_before_a_server_asked_for_the_credentials_nobody_is_let_in(guard):
    from apflow_auth import Auth

    from .conftest import request

    assert await Auth().apflow_authenticate(request(f"Bearer {await guard.make()}")) is None


async def test_it_tells_how_many_tokens_there_are(guard):
    async def told():
        return await guard.plugin.apflow_credentials(guard.engine)

    assert guard.credentials == []
    await guard.make()
    assert await told() == ["1 token"]
    await guard.make("bob", "admin")
    assert await told() == ["2 tokens"]


async def test_tokens_that_have_expired_leave_no_server_open(guard):
    await guard.make(lifetime=0.000001)
    assert await guard.plugin.apflow_credentials(guard.engine) == ["1 expired token"]


async def test_a_credential_can_be_required_before_there_is_one():
    async with guarded(required=True) as guard:
        assert guard.credentials == ["a token, of which there is none yet"]
        assert (await guard.bearer(await guard.make())).user_id == "ada"
