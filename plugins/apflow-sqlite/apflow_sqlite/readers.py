"""Connections that only read, so that a long listing keeps nobody from writing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from apflow_hookspecs import errors
from apflow_sqlite.connection import Line, connect

T = TypeVar("T")
P = ParamSpec("P")


class Readers:
    """Up to `size` connections, each opened when all others are busy."""

    def __init__(self, path: Path, mode: str, size: int) -> None:
        self.path = path
        self.mode = mode
        self._free = asyncio.Semaphore(size)
        self._idle: list[Line[sqlite3.Connection]] = []
        self._lines: list[Line[sqlite3.Connection]] = []
        self._closed = False

    async def run(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call `function(connection, ...)` in one transaction, which sees what was committed before."""
        async with self._free:
            line = self._idle.pop() if self._idle else await self._opened()
            try:
                return await line.run(lambda connection: _snapshot(connection, lambda: function(connection, *args, **options)))
            finally:
                self._idle.append(line)

    async def _opened(self) -> Line[sqlite3.Connection]:
        if self._closed:
            raise errors.StorageBroken(f"{self.path}: is closed")
        line = await Line.open(self.path, partial(connect, self.path, self.mode))
        self._lines.append(line)
        return line

    async def close(self) -> None:
        """Disconnect them all, once what they read is read."""
        self._closed = True
        async with AsyncExitStack() as closing:
            while self._lines:
                closing.push_async_callback(self._lines.pop().close)


def _snapshot(connection: sqlite3.Connection, read: Callable[[], T]) -> T:
    connection.execute("BEGIN")
    try:
        return read()
    finally:
        # After some errors SQLite has ended it.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
