"""The limit: the same trees run by the barest loop that keeps the same record, on `sqlite3` of the standard library.

In-degree counters, a heap of ready tasks, one asyncio task per attempt, one thread that writes. What ended during a commit goes
into the next one, with the claims that it allows; an attempt starts when its claim is stored. Nothing is checked, and nothing
can be cancelled, limited, observed or recovered.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import msgspec.json
from attrs import define, field

from benchmarks.systems import Clock, Job, Trace

encode = msgspec.json.Encoder().encode

SCHEMA = """
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, parent INTEGER, executor TEXT, spec BLOB,
    status INTEGER NOT NULL DEFAULT 0, run INTEGER NOT NULL DEFAULT 1, attempt INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER, completed_at INTEGER, error BLOB, result BLOB
) STRICT;
CREATE TABLE events (last INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""
INSERT = "INSERT INTO tasks (n, id, parent, executor, spec) VALUES (?, ?, ?, ?, ?)"
CLAIM = "UPDATE tasks SET status = 1, attempt = ?, started_at = ? WHERE n = ? AND status = 0"
COMPLETE = "UPDATE tasks SET status = 3, completed_at = ?, result = ? WHERE n = ? AND status = 1"
EVENTS = "INSERT INTO events VALUES (?, ?)"
SYNCHRONOUS = {"full": "FULL", "process": "NORMAL"}
STATUSES = {0: "pending", 1: "in_progress", 3: "completed"}


@define
class Batch:
    """The rows of one transaction: the tree's tasks, claims (attempt, at, n), completions (at, result, n), events."""

    tasks: list[tuple[Any, ...]] = field(factory=list)
    claims: list[tuple[int, int, int]] = field(factory=list)
    completions: list[tuple[int, bytes, int]] = field(factory=list)
    events: list[tuple[Any, ...]] = field(factory=list)


class Store(Protocol):
    """Where batches go."""

    async def commit(self, batch: Batch) -> None: ...

    def close(self) -> None: ...

    def stored(self) -> list[tuple[int, str, Any]]: ...


class File:
    """A SQLite file, and the thread that writes it."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous
        self._queue: SimpleQueue[tuple[Batch, asyncio.Future[None]] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_all)
        self._thread.start()

    async def commit(self, batch: Batch) -> None:
        future = self._loop.create_future()
        self._queue.put((batch, future))
        await future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def stored(self) -> list[tuple[int, str, Any]]:
        connection = sqlite3.connect(self._path)
        rows = connection.execute("SELECT n, status, CAST(result AS INTEGER) FROM tasks").fetchall()
        connection.close()
        return [(n, STATUSES[status], result) for n, status, result in rows]

    def _write_all(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode = WAL", f"synchronous = {self._synchronous}", "cache_size = -65536"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(SCHEMA)
        while (entry := self._queue.get()) is not None:
            batch, future = entry
            self._write(connection, batch)
            self._loop.call_soon_threadsafe(future.set_result, None)
        connection.close()

    @staticmethod
    def _write(connection: sqlite3.Connection, batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        if batch.tasks:
            connection.executemany(INSERT, batch.tasks)
        if batch.claims:
            connection.executemany(CLAIM, batch.claims)
        if batch.completions:
            connection.executemany(COMPLETE, batch.completions)
        connection.execute(EVENTS, (batch.events[-1][0], encode(batch.events)))
        connection.execute("COMMIT")


class Memory:
    """The same rows in lists."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Any]] = {}
        self._events: list[bytes] = []

    async def commit(self, batch: Batch) -> None:
        rows = self._rows
        for task in batch.tasks:
            rows[task[0]] = [*task, 0, 0, None, None, None]
        for attempt, at, n in batch.claims:
            rows[n][5:8] = 1, attempt, at
        for at, result, n in batch.completions:
            row = rows[n]
            row[5], row[8], row[9] = 3, at, result
        self._events.append(encode(batch.events))

    def close(self) -> None:
        """There is nothing to close."""

    def stored(self) -> list[tuple[int, str, Any]]:
        return [(n, STATUSES[row[5]], int(row[9])) for n, row in self._rows.items()]


class Loop:
    """One tree on its way."""

    def __init__(self, array: list[dict[str, Any]], store: Store, slots: int) -> None:
        self.ran: list[int] = []
        self._store = store
        self._free = slots
        self._inputs = [task["inputs"] for task in array]
        self._numbers = {task["id"]: n for n, task in enumerate(array)}
        self._waits = [len(task.get("dependencies", ())) for task in array]
        self._dependents: list[list[int]] = [[] for _ in array]
        self._ready: list[int] = []
        self._open = len(array)
        self._seq = 0
        self._batch = Batch(tasks=list(self._rows(array)))
        self._due = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()

    def _rows(self, array: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        numbers, dependents = self._numbers, self._dependents
        for n, task in enumerate(array):
            needed = [numbers[other] for other in task.get("dependencies", ())]
            for other in needed:
                dependents[other].append(n)
            spec = encode({"inputs": task["inputs"], "dependencies": needed} if needed else {"inputs": task["inputs"]})
            parent = task.get("parent_id")
            yield n, task["id"], None if parent is None else numbers[parent], task["executor"], spec

    def _event(self, kind: str, n: int | None, status: str, at: int) -> None:
        self._seq += 1
        self._batch.events.append((self._seq, kind, n, status, at, 1, None, None))

    async def run(self) -> None:
        """From the rows to the end."""
        self._event("tree_created", None, "pending", _now())
        await self._write()
        self._event("tree_started", None, "in_progress", _now())
        for n, waits in enumerate(self._waits):
            if not waits:
                heappush(self._ready, n)
        while True:
            claimed = self._claim()
            if not self._open:
                self._event("tree_settled", None, "completed", _now())
                await self._write()
                return
            await self._write()
            for n in claimed:
                attempt = asyncio.create_task(self._attempt(n))
                self._attempts.add(attempt)
                attempt.add_done_callback(self._attempts.discard)
            await self._due.wait()
            self._due.clear()

    def _claim(self) -> list[int]:
        claimed = []
        at = _now()
        while self._ready and self._free:
            n = heappop(self._ready)
            self._free -= 1
            claimed.append(n)
            self._batch.claims.append((1, at, n))
            self._event("task_started", n, "in_progress", at)
        return claimed

    async def _write(self) -> None:
        batch, self._batch = self._batch, Batch()
        await self._store.commit(batch)

    async def _attempt(self, n: int) -> None:
        result = await self._mark(**self._inputs[n])
        at = _now()
        self._batch.completions.append((at, encode(result), n))
        self._event("task_settled", n, "completed", at)
        self._free += 1
        self._open -= 1
        for other in self._dependents[n]:
            self._waits[other] -= 1
            if not self._waits[other]:
                heappush(self._ready, other)
        self._due.set()

    async def _mark(self, n: int) -> int:
        self.ran.append(n)
        return n


def _now() -> int:
    return time.time_ns() // 1000


async def measured(job: Job, clock: Clock) -> Trace:
    """Store the tree, run it, and read it back."""
    array = job.workload.array()
    store: Store = Memory() if job.durability == "memory" else File(job.folder / "limit.db", SYNCHRONOUS[job.durability])
    try:
        with clock:
            loop = Loop(array, store, job.slots)
            await loop.run()
    finally:
        store.close()
    return Trace(loop.ran, store.stored())
