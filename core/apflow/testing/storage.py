"""The storage contract as tests: what every storage does, whatever it stands on.

    import pytest
    from apflow.testing.storage import StorageContract

    class TestMyStorage(StorageContract):
        @pytest.fixture
        async def storage(self):
            storage = await open_mystorage("mystore://localhost/test", StorageOptions())
            yield storage
            await storage.close()

A storage that lasts also says how to open it anew:

        async def reopen(self, storage):
            await storage.close()
            return await open_mystorage("mystore://localhost/test", StorageOptions())

Each test gets a fresh, empty storage. `StorageModelContract` in `apflow.testing.storage_model` goes on where these end: random
batches, compared with the in-memory storage.
"""

from __future__ import annotations

import pytest

from apflow.testing.storage_commits import InsertContract, LoserContract, TransitionContract
from apflow.testing.storage_reads import DeletionContract, ListingContract, ReadContract
from apflow.testing.storage_records import RecordContract
from apflow.testing.storage_samples import NOON, apply, insert, sample_tree, stored
from apflow_hookspecs import Batch, RecordWrite, Storage, TaskQuery, errors


class StorageContract(
    InsertContract, TransitionContract, LoserContract, ReadContract, ListingContract, DeletionContract, RecordContract
):
    """Inherit from it, name the class `Test…`, and give it an async fixture `storage`."""

    pytestmark = pytest.mark.asyncio

    async def reopen(self, storage: Storage) -> Storage:
        """The same storage opened anew; one that does not last stays open."""
        return storage

    async def test_what_was_committed_is_there_when_it_is_opened_anew(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"), sample_tree("u"))
        attempt = (1, 1, 1, NOON, NOON, "retried", None, None, None)
        event = (1, "task_started", 1, "in_progress", NOON, 1, None, None)
        await apply(storage, "t", claims=[(1, 2, NOON + 1)], attempts=[attempt], events=[event])
        await storage.commit(Batch(records=[RecordWrite("x", "k", b"1")]))
        before = await stored(storage, "t")
        again = await self.reopen(storage)
        try:
            assert await stored(again, "t") == before
            assert len(await again.events("t")) == len(await again.attempts("t")) == 1
            assert await again.record("x", "k") is not None
            await apply(again, "t", completions=[(1, NOON + 2, b"1")])
        finally:
            await again.close()

    async def test_a_batch_of_nothing_is_written(self, storage: Storage) -> None:
        assert await storage.commit(Batch())

    async def test_it_has_the_latest_schema_and_nothing_is_wrong_with_it(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        event = (1, "task_started", 1, "in_progress", NOON, 1, None, None)
        await apply(storage, "t", claims=[(1, 1, NOON + 1)], events=[event])
        await storage.migrate()
        assert await storage.check() == []

    async def test_it_tells_facts_for_people(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        info = await storage.info()
        assert info.keys() >= {"location", "schema", "size", "durability", "trees", "tasks"}
        assert (info["trees"], info["tasks"]) == (1, 3)

    async def test_closing_it_twice_does_nothing_and_using_it_then_is_refused(self, storage: Storage) -> None:
        await storage.find(TaskQuery())
        await storage.close()
        await storage.close()
        with pytest.raises(errors.StorageUnavailable, match="closed"):
            await storage.commit(Batch())
        with pytest.raises(errors.StorageUnavailable, match="closed"):
            await storage.task("t")
