"""Connections that only read, so that a long listing keeps nobody from writing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from apflow_hookspecs import errors
from apflow_sqlite.connection import Line, connect
from apflow_sqlite.failures import told

T = TypeVar("T")
P = ParamSpec("P")


_Asked = tuple["asyncio.Future[Any]", Callable[[sqlite3.Connection], Any]]


class Readers:
    """Up to `size` connections, each opened when all others are busy."""

    def __init__(self, path: Path, mode: str, size: int) -> None:
        self._asked: list[_Asked] = []
        self._together: asyncio.Task[None] | None = None
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

    async def quickly(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        """As `run`, for what takes microseconds: calls that are made while others are under way share one hop and transaction.

        A hop costs more than such a read, and the more so the more threads there are that want to run.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append((answer, partial(_call, function, args, options)))
        if self._together is None:
            self._together = asyncio.create_task(self._answer_together())
        return await answer

    async def _answer_together(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                try:
                    outcomes = await self.run(_all, [call for _, call in asked])
                except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
                    outcomes = [error] * len(asked)
                for (answer, _), outcome in zip(asked, outcomes, strict=True):
                    if answer.done():
                        continue
                    if isinstance(outcome, Exception):
                        answer.set_exception(told(self.path, outcome))
                    else:
                        answer.set_result(outcome)
        finally:
            self._together = None

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


def _call(function: Callable[..., T], args: Any, options: Any, connection: sqlite3.Connection) -> T:
    return function(connection, *args, **options)


def _all(connection: sqlite3.Connection, calls: list[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    """What each call returned or raised."""
    outcomes = []
    for call in calls:
        try:
            outcomes.append(call(connection))
        except Exception as error:  # noqa: BLE001 - told to who asked
            outcomes.append(error)
    return outcomes
