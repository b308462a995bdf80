"""Bearer tokens: what is kept of them, who shows them, and when they count no more."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from attrs import define

from apflow_auth.refusal import ExpiredToken, InvalidToken
from apflow_auth.tokens import MINUTE, Tokens
from apflow_hookspecs import Batch, Caller, RecordWrite
from apflow_hookspecs.errors import StorageUnavailable

from .conftest import guarded

DAY = 86_400


@define
class Watch:
    """A clock that is put forward by hand."""

    instant: int = 1_000_000_000_000_000

    def __call__(self) -> int:
        return self.instant

    def forward(self, microseconds: int) -> None:
        self.instant += microseconds


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
async def tokens(watch):
    async with guarded() as guard:
        yield Tokens(guard.engine.storage, watch)


async def test_who_shows_a_token_is_its_user_with_its_scopes(tokens):
    token, text = await tokens.create("ada", ["submit", "read"])
    assert text.startswith(f"apf_{token.id}_")
    assert await tokens.caller(text) == Caller("ada", frozenset({"read", "submit"}), "remote")


async def test_a_secret_has_256_bits_and_no_two_are_alike(tokens):
    made = [(await tokens.create("ada", ["read"]))[1] for _ in range(50)]
    assert {len(text.split("_", 2)[2]) for text in made} == {43}
    assert len({text.split("_", 2)[2] for text in made}) == len({text.split("_")[1] for text in made}) == 50


async def test_only_the_hash_of_the_secret_is_kept(tokens):
    token, text = await tokens.create("ada", ["read"], name="cron")
    secret = text.split("_", 2)[2]
    (record,) = await tokens._storage.records("auth")
    assert json.loads(record.value)["digest"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in record.value.decode() + repr(token) + record.key
    assert token.digest not in repr(token)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:-43] + "A" * 43,
        lambda text: "apf_" + "0" * 16 + text[20:],
        lambda text: "apf_" + "*" * 16 + text[20:],
        lambda text: "apf_../../../../x_" + text[-43:],
        lambda text: text.upper(),
        lambda text: "apf_" + text,
        lambda text: text.replace("apf_", "apf__", 1),
        lambda text: text[:20],
        lambda text: text[:4],
        lambda text: text + "\n",
        lambda text: "\u0661" + text,
    ],
)
async def test_a_token_that_was_changed_is_invalid(tokens, spoil):
    _, text = await tokens.create("ada", ["read"])
    with pytest.raises(InvalidToken) as refused:
        await tokens.caller(spoil(text))
    assert refused.value.message == "The token is invalid."


async def test_an_unknown_id_takes_the_same_way_as_a_wrong_secret(tokens, monkeypatch):
    _, text = await tokens.create("ada", ["read"])
    compared = []
    monkeypatch.setattr("apflow_auth.tokens.hmac.compare_digest", lambda *both: compared.append(both) or False)
    for wrong in (text[:-43] + "A" * 43, "apf_" + "0" * 16 + text[20:]):
        with pytest.raises(InvalidToken):
            await tokens.caller(wrong)
    assert [tuple(map(len, both)) for both in compared] == [(64, 64), (64, 64)]


async def test_the_secret_of_another_token_is_invalid(tokens):
    _, one = await tokens.create("ada", ["read"])
    _, other = await tokens.create("bob", ["admin"])
    with pytest.raises(InvalidToken):
        await tokens.caller(other[:20] + one[20:])


async def test_a_token_expires_at_its_instant(tokens, watch):
    _, text = await tokens.create("ada", ["read"], lifetime=DAY)
    watch.forward(DAY * 1_000_000 - 1)
    assert (await tokens.caller(text)).user_id == "ada"
    watch.forward(1)
    with pytest.raises(ExpiredToken, match="The token has expired"):
        await tokens.caller(text)
    (token,) = await tokens.stored()
    assert token.expired(watch())


async def test_only_who_knows_the_secret_hears_that_a_token_has_expired(tokens, watch):
    _, text = await tokens.create("ada", ["read"], lifetime=1)
    watch.forward(DAY * 1_000_000)
    with pytest.raises(InvalidToken):
        await tokens.caller(text[:-43] + "A" * 43)


async def test_a_revoked_token_is_invalid_at_once_and_looks_like_one_that_never_was(tokens):
    token, text = await tokens.create("ada", ["read"])
    assert (await tokens.caller(text)).user_id == "ada"
    assert await Tokens(tokens._storage).revoke(token.id)
    with pytest.raises(InvalidToken):
        await tokens.caller(text)
    assert not await tokens.revoke(token.id)
    assert await tokens.stored() == []


async def test_its_last_use_is_noted_once_a_minute(tokens, watch):
    token, text = await tokens.create("ada", ["read"])

    async def version():
        return (await tokens._storage.record("auth", token.key)).version

    await tokens.caller(text)
    first = watch()
    watch.forward(MINUTE - 1)
    await tokens.caller(text)
    assert ((await tokens.stored())[0].last_used_at, await version()) == (first, 2)
    watch.forward(1)
    await asyncio.gather(*(tokens.caller(text) for _ in range(20)))
    assert ((await tokens.stored())[0].last_used_at, await version()) == (watch(), 3)


async def test_the_note_of_a_use_does_not_bring_back_a_token_that_was_revoked_meanwhile(tokens, watch):
    token, _ = await tokens.create("ada", ["read"])
    seen = await tokens._storage.record("auth", token.key)
    await tokens.revoke(token.id)
    await tokens._note_use(token, seen.version, watch())
    assert await tokens.stored() == []


@define
class Full:
    """A storage that can be read only."""

    storage: Any

    async def record(self, namespace, key):
        return await self.storage.record(namespace, key)

    async def commit(self, batch):
        raise StorageUnavailable("the disk is full")


async def test_a_storage_that_cannot_be_written_lets_tokens_count_all_the_same(tokens, watch):
    _, text = await tokens.create("ada", ["read"])
    assert (await Tokens(Full(tokens._storage), watch).caller(text)).user_id == "ada"
    assert (await tokens.stored())[0].last_used_at is None


async def test_records_of_others_in_its_namespace_are_no_tokens(tokens):
    await tokens._storage.commit(Batch(records=[RecordWrite("auth", "note/a", b"{}")]))
    assert await tokens.stored() == []
