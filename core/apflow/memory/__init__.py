"""The in-memory storage: complete, and gone with its process. It is also the reference that other storages are compared with.

    async with open_engine("memory:") as engine: ...

`apflow.memory.storage.MemoryStorage` is the storage itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from apflow_hookspecs import StorageOptions, StorageScheme, hookimpl

if TYPE_CHECKING:
    from apflow.memory.storage import MemoryStorage


async def open_memory(url: str, options: StorageOptions) -> MemoryStorage:  # noqa: ARG001 - every scheme is opened so
    """A new, empty storage, whatever stands behind `memory:`."""
    from apflow.memory.storage import MemoryStorage  # noqa: PLC0415 - a plugin is imported at every start

    return MemoryStorage()


@hookimpl
def apflow_storages() -> Iterable[StorageScheme]:
    """Provide the scheme `memory`."""
    yield StorageScheme("memory", open_memory, "Trees in memory, gone with the process.")
