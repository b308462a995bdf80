"""apflow's default storage: trees of tasks in one SQLite file, opened by URLs as `sqlite:///flow.db`."""

from __future__ import annotations

from collections.abc import Iterable

from apflow_hookspecs import Storage, StorageOptions, StorageScheme, hookimpl


async def open_sqlite(url: str, options: StorageOptions) -> Storage:
    """Open the file behind a URL: create it where it is missing, own it and bring its schema up to date; or only look into it.

    Raises:
        ConfigError: The URL, or the section of the configuration.
        StorageOwned: Another process has it open for writing.
        StorageBroken: Somebody has to mend it: it is damaged, another program's, newer, or on a network filesystem.
        StorageUnavailable: Any other reason; the message names the file and what to do.
    """
    from apflow_sqlite.storage import SqliteStorage  # noqa: PLC0415 - a start that opens no file need not load it

    return await SqliteStorage.open(url, options)


@hookimpl
def apflow_storages() -> Iterable[StorageScheme]:
    """Provide the scheme `sqlite`."""
    yield StorageScheme("sqlite", open_sqlite, "Trees in one SQLite file: sqlite:///relative.db, sqlite:////absolute/path.db.")
