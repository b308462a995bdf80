"""A SQLite connection in a thread of its own, to which a job of many statements is one hop."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar
from urllib.parse import quote

import aiosqlite

from apflow_hookspecs import errors
from apflow_sqlite.failures import unavailable

T = TypeVar("T")
P = ParamSpec("P")


class Job(Generic[T]):
    """A call in the connection's thread, and what came of it."""

    __slots__ = ("_call", "_error", "_value")

    def __init__(self, call: Callable[[sqlite3.Connection], T]) -> None:
        self._call = call
        self._error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Make the call; its exception is kept for who waits for it."""
        try:
            self._value = self._call(connection)
        except BaseException as error:  # noqa: BLE001 - raised again by `outcome`
            self._error = error

    def outcome(self) -> T:
        """What the call returned or raised."""
        if self._error is not None:
            raise self._error
        return self._value


class JobConnection(sqlite3.Connection):
    """Its `commit()` runs the jobs that wait.

    aiosqlite makes a hop of every call, and `commit` is the one that hands back nothing: a caller who is cancelled meanwhile
    leaves no cursor behind, whose snapshot would keep the connection from writing ever again.
    """

    def __init__(self, jobs: deque[Job[Any]], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._jobs = jobs

    def commit(self) -> None:
        while self._jobs:
            self._jobs.popleft().run(self)


class Line:
    """One connection, for the jobs of one thread."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, jobs: deque[Job[Any]]) -> None:
        self.path = path
        self._connection = connection
        self._jobs = jobs

    @classmethod
    async def open(cls, path: Path, mode: str) -> Line:
        """Connect to an existing file, `rw`, `ro`, or `immutable`: one that nobody writes, in a read-only folder."""
        jobs: deque[Job[Any]] = deque()
        access = "immutable=1" if mode == "immutable" else f"mode={mode}"
        connecting = aiosqlite.connect(
            f"file:{quote(str(path))}?{access}",
            uri=True,
            isolation_level=None,
            timeout=5.0,
            factory=partial(JobConnection, jobs),
        )
        try:
            return cls(path, await connecting, jobs)
        except sqlite3.Error as error:
            raise unavailable(path, error) from error

    async def run(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call `function(connection, ...)` in the connection's thread.

        A caller who is cancelled does not stop the call: it is done, and its answer dropped.

        Raises:
            StorageUnavailable: What SQLite failed with, or that the connection is closed.
        """
        job: Job[T] = Job(lambda connection: function(connection, *args, **options))
        # No await between these two: the order of the jobs is that of the hops.
        self._jobs.append(job)
        try:
            await self._connection.commit()
        except ValueError:
            raise errors.StorageUnavailable(f"{self.path}: is closed") from None
        try:
            return job.outcome()
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error

    async def close(self) -> None:
        """Finish the jobs that wait, and disconnect."""
        await self._connection.close()
