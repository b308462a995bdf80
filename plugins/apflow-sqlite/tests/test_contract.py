"""The SQLite storage keeps the storage contract."""

from __future__ import annotations

import pytest

from apflow.testing.storage import StorageContract
from apflow.testing.storage_model import StorageModelContract
from apflow_hookspecs import StorageOptions
from apflow_sqlite import open_sqlite


@pytest.fixture
async def storage(tmp_path):
    storage = await open_sqlite(f"sqlite:///{tmp_path}/flow.db", StorageOptions())
    yield storage
    await storage.close()


class TestSqliteStorage(StorageContract):
    async def reopen(self, storage):
        await storage.close()
        return await open_sqlite(f"sqlite:///{storage.path}", StorageOptions())


class TestSqliteStorageModel(StorageModelContract):
    pass
