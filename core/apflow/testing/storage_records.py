"""The record store."""

from __future__ import annotations

import time

import pytest

from apflow.testing.storage_samples import insert, sample_tree
from apflow_hookspecs import Batch, Record, RecordWrite, Storage


def now() -> int:
    """The instant at which this is called."""
    return time.time_ns() // 1000


HOUR = 3_600_000_000


async def write(storage: Storage, *writes: RecordWrite) -> bool:
    """Write records; whether none was stale."""
    return bool(await storage.commit(Batch(records=list(writes))))


class RecordContract:
    """Keys, versions and expiry."""

    async def test_a_record_comes_back_and_counts_its_versions(self, storage: Storage) -> None:
        assert await storage.record("x", "k") is None
        for version, value in enumerate((b"1", b'{"a":"\xc3\xbc"}', b"null"), 1):
            assert await write(storage, RecordWrite("x", "k", value))
            assert await storage.record("x", "k") == Record("x", "k", value, version)
        assert await storage.record("y", "k") is None

    async def test_a_record_is_swapped_at_the_version_that_was_read(self, storage: Storage) -> None:
        assert await write(storage, RecordWrite("x", "k", b"1", expected=0))
        assert await write(storage, RecordWrite("x", "k", b"2", expected=1))
        assert await storage.record("x", "k") == Record("x", "k", b"2", 2)

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_a_record_at_another_version_is_stale(self, storage: Storage, expected: int) -> None:
        await write(storage, RecordWrite("x", "k", b"1"))
        await write(storage, RecordWrite("x", "k", b"2"))
        writes = [RecordWrite("x", "other", b"1"), RecordWrite("x", "k", b"3", expected)]
        committed = await storage.commit(Batch(records=writes, trees=[sample_tree("t")]))
        assert (committed.stale, bool(committed)) == ((("x", "k"),), False)
        assert await storage.record("x", "other") is None
        assert await storage.tree("t") is None
        deleted = await storage.commit(Batch(records=[RecordWrite("x", "k", None, expected)]))
        assert deleted.stale == (("x", "k"),)
        assert await storage.record("x", "k") == Record("x", "k", b"2", 2)

    async def test_a_missing_record_is_stale_for_who_expects_one(self, storage: Storage) -> None:
        assert not await write(storage, RecordWrite("x", "k", b"1", expected=1))
        assert not await write(storage, RecordWrite("x", "k", None, expected=1))
        assert await write(storage, RecordWrite("x", "k", None), RecordWrite("x", "k", None, expected=0))

    async def test_a_deleted_record_begins_anew(self, storage: Storage) -> None:
        await write(storage, RecordWrite("x", "k", b"1"))
        await write(storage, RecordWrite("x", "k", b"2"))
        assert await write(storage, RecordWrite("x", "k", None, expected=2))
        assert await storage.record("x", "k") is None
        assert await write(storage, RecordWrite("x", "k", b"3", expected=0))
        assert await storage.record("x", "k") == Record("x", "k", b"3", 1)

    async def test_the_writes_of_a_batch_follow_each_other(self, storage: Storage) -> None:
        first, second = RecordWrite("x", "k", b"1", expected=0), RecordWrite("x", "k", b"2", expected=1)
        assert await write(storage, first, second)
        assert await storage.record("x", "k") == Record("x", "k", b"2", 2)

    async def test_records_are_written_with_a_tree_or_not_at_all(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        batch = Batch(records=[RecordWrite("x", "k", b"1")], trees=[sample_tree("t")])
        assert not await storage.commit(batch)
        assert await storage.record("x", "k") is None

    async def test_an_expired_record_is_gone(self, storage: Storage) -> None:
        later = now() + HOUR
        await write(storage, RecordWrite("x", "kept", b"1", expires_at=later), RecordWrite("x", "gone", b"1", expires_at=1))
        assert await storage.record("x", "kept") == Record("x", "kept", b"1", 1, later)
        assert await storage.record("x", "gone") is None
        assert [record.key for record in await storage.records("x")] == ["kept"]
        assert await write(storage, RecordWrite("x", "gone", b"2", expected=0))
        assert await storage.record("x", "gone") == Record("x", "gone", b"2", 1)

    async def test_each_write_sets_the_expiry_anew(self, storage: Storage) -> None:
        await write(storage, RecordWrite("x", "k", b"1", expires_at=now() + HOUR))
        await write(storage, RecordWrite("x", "k", b"2"))
        assert await storage.record("x", "k") == Record("x", "k", b"2", 2)

    async def test_records_are_listed_by_prefix_in_the_order_of_their_keys(self, storage: Storage) -> None:
        keys = ["b", "a/2", "a/1", "a", "a\U0010ffff", "A", "ä", "a%", "a_", ""]
        await write(storage, *(RecordWrite("x", key, b"1") for key in keys), RecordWrite("y", "a", b"1"))
        assert [record.key for record in await storage.records("x")] == sorted(keys)
        assert [record.key for record in await storage.records("x", "a")] == ["a", "a%", "a/1", "a/2", "a_", "a\U0010ffff"]
        assert [record.key for record in await storage.records("x", "a/")] == ["a/1", "a/2"]
        assert [record.key for record in await storage.records("x", "a\U0010ffff")] == ["a\U0010ffff"]
        assert await storage.records("x", "c") == []
