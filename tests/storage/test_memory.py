"""The in-memory storage keeps the storage contract."""

from __future__ import annotations

import pytest

from apflow.memory import open_memory
from apflow.testing.storage import StorageContract
from apflow_hookspecs import StorageOptions, errors


@pytest.fixture
async def storage():
    storage = await open_memory("memory:", StorageOptions())
    yield storage
    await storage.close()


class TestMemoryStorage(StorageContract):
    pass


async def test_every_memory_storage_is_a_new_one(storage):
    assert await open_memory("memory:", StorageOptions()) is not storage


async def test_what_is_in_memory_cannot_be_backed_up(storage, tmp_path):
    with pytest.raises(errors.StorageUnavailable, match=r"memory: cannot be copied to .*copy\.db"):
        await storage.backup(str(tmp_path / "copy.db"))
