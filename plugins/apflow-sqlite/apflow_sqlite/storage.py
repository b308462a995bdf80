"""The storage: one connection that writes, some that read, and the lock that keeps other processes from writing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from apflow_hookspecs import (
    Attempt,
    Batch,
    Committed,
    Event,
    Json,
    Page,
    Record,
    StorageOptions,
    Task,
    TaskQuery,
    TaskTree,
    errors,
)
from apflow_sqlite import care, copying, reading, schema, sql
from apflow_sqlite.connection import Line, connect
from apflow_sqlite.endpoint import prepare_socket
from apflow_sqlite.failures import failure
from apflow_sqlite.files import FileLock, create_file, create_folder, file_of, may_write, refuse_other_kinds, refuse_unwritable
from apflow_sqlite.mounts import refuse_network
from apflow_sqlite.options import Options, synchronous
from apflow_sqlite.readers import Readers
from apflow_sqlite.watching import Watch
from apflow_sqlite.writer import Writer


class SqliteStorage:
    """A `Storage` in one file. Whoever opened it for writing owns the file until it is closed or the process ends.

    Attributes:
        endpoint: Where the owner can be spoken to, as its lock file tells.
    """

    def __init__(self, path: Path, readers: Readers, durability: str) -> None:
        self.path = path
        self.endpoint: str | None = None
        self._readers = readers
        self._durability = durability
        self._writer: Line[Writer] | None = None
        self._lock: FileLock | None = None
        self._steps_taken: list[str] = []

    @classmethod
    async def open(cls, url: str, options: StorageOptions) -> SqliteStorage:
        """Open the file behind a URL, as documented at `apflow_sqlite.open_sqlite`."""
        path, section = file_of(url), Options.of(options.section)
        mode = synchronous(options.durability)
        care.refuse_old_sqlite()
        refuse_other_kinds(path)
        if not section.force:
            refuse_network(path)
        storage = cls(path, Readers(path, "ro", section.readers), options.durability)
        try:
            if options.read_only:
                await storage._look(section)
            else:
                await storage._own(section, mode)
        except BaseException:
            await storage.close()
            raise
        return storage

    async def _look(self, section: Options) -> None:
        if not self.path.is_file():
            raise errors.StorageUnavailable(f"{self.path}: is not there; what writes to it first creates it")
        log = self.path.with_name(f"{self.path.name}-wal")
        if not log.exists() and not may_write(self.path.parent):
            self._readers = Readers(self.path, "immutable", section.readers)
        await self._readers.run(care.inspect, self.path, "never")
        await self._readers.run(schema.refuse_outdated, self.path, len(schema.steps()))

    async def _own(self, section: Options, mode: str) -> None:
        written = self._take()
        # A connection that only reads cannot change a file that will be refused, not even by closing it.
        found = await self._readers.run(care.inspect, self.path, section.check) if written else 0
        if 0 < found < len(schema.steps()):
            await self._copy(copying.replace, self.path.with_name(f"{self.path.name}.schema-{found}"))
        self._writer = await Line.open(self.path, partial(_writer, self.path, mode))
        self._steps_taken = await self._writer.run(Writer.run, schema.migrate, schema.steps())

    def _take(self) -> bool:
        """Become the owner of the file; whether there is anything in it yet."""
        try:
            create_folder(self.path.parent)
            refuse_unwritable(self.path)
            self._lock = FileLock(self.path)
            create_file(self.path)
            self.endpoint = prepare_socket(self.path)
            self._lock.tell(self.endpoint)
            return self.path.stat().st_size > 0
        except OSError as error:
            raise failure(self.path, error) from error

    @property
    def _writing(self) -> Line[Writer]:
        if self._writer is None:
            raise errors.StorageBroken(f"{self.path}: was opened for reading only")
        return self._writer

    async def commit(self, batch: Batch) -> Committed:
        return await self._writing.run(Writer.commit, batch)

    async def acquire(self, tree_id: str, token: str, owner: str) -> bool:
        """Take a tree over; the lock on the file says that no other owner is alive."""
        return await self._writing.run(Writer.run, _changed, sql.ACQUIRE, (token, owner, tree_id))

    async def release(self, tree_id: str, token: str) -> None:
        await self._writing.run(Writer.run, _changed, sql.RELEASE, (tree_id, token))

    async def task(self, task_id: str) -> Task | None:
        return await self._readers.quickly(reading.task, task_id)

    async def tree(self, tree_id: str) -> TaskTree | None:
        return await self._readers.run(reading.tree, tree_id)

    async def existing(self, task_ids: Sequence[str]) -> list[str]:
        return await self._readers.quickly(reading.existing, task_ids)

    async def children(self, task_id: str) -> list[Task]:
        return await self._readers.run(reading.children, task_id)

    async def find(self, query: TaskQuery) -> Page:
        return await self._readers.run(reading.find, query)

    async def count(self, query: TaskQuery) -> dict[str, int]:
        return await self._readers.run(reading.count, query)

    async def open_trees(self) -> list[str]:
        return await self._readers.run(reading.open_trees)

    async def events(self, tree_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        return await self._readers.run(reading.events, tree_id, after, limit)

    async def attempts(self, tree_id: str, n: int | None = None) -> list[Attempt]:
        return await self._readers.run(reading.attempts, tree_id, n)

    async def resolved(self, tree_id: str) -> dict[int, bytes]:
        return await self._readers.run(reading.resolved, tree_id)

    async def record(self, namespace: str, key: str) -> Record | None:
        return await self._readers.quickly(reading.record, namespace, key)

    async def records(self, namespace: str, prefix: str = "") -> list[Record]:
        return await self._readers.run(reading.records, namespace, prefix)

    async def info(self) -> dict[str, Json]:
        """Location, schema, size in bytes with the log, counts, durability, SQLite's version."""
        return {**await self._readers.run(care.facts, self.path), "durability": self._durability}

    async def migrate(self) -> list[str]:
        """The steps that opening took: a file that is open has the latest schema."""
        return list(self._steps_taken)

    async def check(self) -> list[str]:
        return await self._readers.run(care.findings)

    async def backup(self, target: str) -> None:
        """Copy the file to a path where there is none yet; those who read and write go on meanwhile."""
        await self._copy(copying.copy, Path(target))

    async def _copy(self, work: Callable[[sqlite3.Connection, Path, threading.Event], None], target: Path) -> None:
        stopped = threading.Event()
        line = await Line.open(self.path, partial(connect, self.path, self._readers.mode))
        try:
            await line.run(work, target, stopped)
        finally:
            stopped.set()
            await line.close()

    async def close(self) -> None:
        async with AsyncExitStack() as closing:
            # Last of all the lock, and last of the connections the writer: it is the one that can fold the log into the file.
            if self._lock is not None:
                closing.callback(self._lock.release)
            if self._writer is not None:
                closing.push_async_callback(self._writer.close)
            closing.push_async_callback(self._readers.close)


def _changed(connection: sqlite3.Connection, statement: str, parameters: tuple[str, ...]) -> bool:
    return connection.execute(statement, parameters).rowcount == 1


def _writer(path: Path, synchronous: str) -> Writer:
    return Writer(partial(care.connect_writing, path, synchronous), Watch(path))
