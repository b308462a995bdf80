"""SQLite in a thread of its own, to which a job of many statements is one hop."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import quote

import aiosqlite

from apflow_hookspecs import errors
from apflow_sqlite.failures import failure, told

BUSY_TIMEOUT = 5.0
"""Seconds for which a program from outside may keep the file locked before that is told."""


class Closable(Protocol):
    """What is made, used and closed in a thread of its own."""

    def close(self) -> None: ...


S = TypeVar("S", bound=Closable)
T = TypeVar("T")
P = ParamSpec("P")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Connect to an existing file, `rw`, `ro`, or `immutable`: one that nobody writes, in a read-only folder."""
    access = "immutable=1" if mode == "immutable" else f"mode={mode}"
    return sqlite3.connect(f"file:{quote(str(path))}?{access}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT)


class Job(Generic[S, T]):
    """A call in the thread, and what came of it."""

    __slots__ = ("_call", "_error", "_value")

    def __init__(self, call: Callable[[S], T]) -> None:
        self._call = call
        self._error: BaseException | None = None

    def run(self, subject: S) -> None:
        """Make the call; its exception is kept for who waits for it."""
        try:
            self._value = self._call(subject)
        except BaseException as error:  # noqa: BLE001 - raised again by `outcome`
            self._error = error

    def outcome(self) -> T:
        """What the call returned or raised."""
        if self._error is not None:
            raise self._error
        return self._value


class Jobs(Generic[S]):
    """What aiosqlite takes for its connection: `commit()` runs the jobs that wait.

    aiosqlite makes a hop of every call, and `commit` is the one that hands back nothing: a caller who is cancelled meanwhile
    leaves no cursor behind, whose snapshot would keep the connection from writing ever again.
    """

    def __init__(self, subject: S, waiting: deque[Job[S, Any]]) -> None:
        self._subject = subject
        self._waiting = waiting

    def commit(self) -> None:
        while self._waiting:
            self._waiting.popleft().run(self._subject)

    def close(self) -> None:
        self._subject.close()


class Line(Generic[S]):
    """One thread, and in it what its jobs work with: a connection, or the `Writer`."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, waiting: deque[Job[S, Any]]) -> None:
        self.path = path
        self._connection = connection
        self._waiting = waiting

    @classmethod
    async def open(cls, path: Path, make: Callable[[], S]) -> Line[S]:
        """Start the thread, and in it make what the jobs work with."""
        waiting: deque[Job[S, Any]] = deque()
        connector = cast("Callable[[], sqlite3.Connection]", lambda: Jobs(make(), waiting))
        try:
            return cls(path, await aiosqlite.Connection(connector, iter_chunk_size=1), waiting)
        except sqlite3.Error as error:
            raise failure(path, error) from error

    async def run(self, function: Callable[Concatenate[S, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call `function(subject, ...)` in the thread.

        A caller who is cancelled does not stop the call: it is done, and its answer dropped.

        Raises:
            StorageUnavailable: What SQLite or the system failed with.
            StorageBroken: Likewise, where it will not pass by itself; or the storage is closed.
        """
        job: Job[S, T] = Job(lambda subject: function(subject, *args, **options))
        # No await between these two: the order of the jobs is that of the hops.
        self._waiting.append(job)
        try:
            await self._connection.commit()
        except ValueError:
            raise errors.StorageBroken(f"{self.path}: is closed") from None
        try:
            return job.outcome()
        except (OSError, sqlite3.Error) as error:
            raise told(self.path, error)  # noqa: B904 - which has its cause

    async def close(self) -> None:
        """Finish the jobs that wait, and disconnect."""
        await self._connection.close()
