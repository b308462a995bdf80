"""The journal: the one writer of the storage, and the group commit.

Whatever became due while the last commit was under way goes into the next. Claims are chosen when a batch is sealed, so that a
task which ended meanwhile and those that may start because of it are one transaction, and nothing overtakes a priority.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from attrs import frozen

from apflow.live import LiveTree
from apflow.schedule import Schedule
from apflow.transitions import Transitions, now
from apflow_hookspecs import Batch, Committed, Problem, RecordWrite, Storage
from apflow_hookspecs.errors import IdempotencyConflict, InvalidTask, StorageBroken, StorageUnavailable

log = logging.getLogger("apflow.journal")

PAUSE, MAX_PAUSE = 0.1, 5.0

Start = tuple[LiveTree, int]


@frozen
class Written:
    """A batch that is stored, and what is to be done now.

    Args:
        batch: As it was written.
        starts: Claimed tasks, to be started in this order.
        ended: Trees whose run is over.
    """

    batch: Batch
    starts: list[Start]
    ended: list[LiveTree]


class Journal:
    """Writes batches, one after the other, in a task of its own that no user's cancellation reaches.

    Args:
        storage: Where to.
        transitions: The open batch.
        schedule: Gives the claims.
        written: Called after each commit.
        lost: Called for each tree whose part of a batch was refused, with the reason; the rest was written.
        failed: Called once, when nothing can be written any more.
    """

    def __init__(
        self,
        storage: Storage,
        transitions: Transitions,
        schedule: Schedule[LiveTree],
        *,
        written: Callable[[Written], None],
        lost: Callable[[str, Exception], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.commits = 0
        self.failure: BaseException | None = None
        self.trouble: StorageUnavailable | None = None
        """Why nothing can be written for the moment; it is tried again until it can."""
        self.draining = False
        """Whether nothing more is to be started."""
        self._storage = storage
        self._transitions = transitions
        self._schedule = schedule
        self._written = written
        self._lost = lost
        self._failed = failed
        self._due = asyncio.Event()
        self._waiters: list[tuple[str, asyncio.Future[None]]] = []
        self._writing: list[tuple[str, asyncio.Future[None]]] = []
        """Those who wait for the commit that is under way."""
        self._ending = asyncio.Event()
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._write_all(), name="apflow-journal")

    def due(self) -> None:
        """There is something to write."""
        self._due.set()

    def admit(self) -> None:
        """Whether a new tree may come in.

        Raises:
            StorageUnavailable: It could not be stored now.
        """
        if self.failure is not None:
            raise self._closed()
        if self.trouble is not None:
            raise self.trouble

    async def stored(self, tree_id: str) -> None:
        """Wait until all that is due now for a tree is stored.

        Raises:
            InvalidTask: It was to be inserted, and ids of it exist already.
            StorageUnavailable: It could not be written.
        """
        if self.failure is not None:
            raise self._closed()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((tree_id, future))
        self._due.set()
        await future

    def fail(self, error: BaseException) -> None:
        """Nothing can be written any more, for a storage's fault or our own: all who wait are told."""
        if self.failure is not None:
            return
        self.failure = error
        self._end()
        log.debug("the journal has stopped", exc_info=error)
        for _, waiter in (*self._writing, *self._waiters):
            if not waiter.done():
                waiter.set_exception(self._closed())
        self._failed(self._closed())

    async def close(self) -> None:
        """Write what is due, and end. Who is cancelled while waiting for it does not keep it from that."""
        self._end()
        await asyncio.wait([self._task])

    def _end(self) -> None:
        self._closing = True
        self._ending.set()
        self._due.set()

    async def _write_all(self) -> None:
        try:
            while not self._closing or self._due.is_set():
                await self._due.wait()
                self._due.clear()
                await self._write()
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _write(self) -> None:
        starts = self._claims()
        batch, ended, notes = self._transitions.take()
        waiters = self._writing = self._waiters
        self._waiters = []
        dropped = await self._commit(batch, notes)
        if dropped:
            for live, n in starts:
                if live.tree.id in dropped:
                    self._schedule.released(live, n)
            starts = [start for start in starts if start[0].tree.id not in dropped]
            ended = [live for live in ended if live.tree.id not in dropped]
            for tree_id, error in dropped.items():
                self._lost(tree_id, error)
        self._written(Written(batch, starts, ended))
        for tree_id, waiter in waiters:
            if waiter.done():
                continue
            if tree_id in dropped:
                waiter.set_exception(dropped[tree_id])
            else:
                waiter.set_result(None)

    def _claims(self) -> list[Start]:
        if self._closing or self.draining:
            return []
        starts = self._schedule.claims()
        if starts:
            at = now()
            for live, n in starts:
                self._transitions.claimed(live, n, at)
        return starts

    async def _commit(self, batch: Batch, notes: dict[str, list[RecordWrite]]) -> dict[str, Exception]:
        """Write a batch with its notes; trees that lost are taken out of it, and the rest is written again."""
        dropped: dict[str, Exception] = {}
        pauses = _pauses()
        while batch.changes or batch.trees or batch.deletes:
            batch.records = [record for tree_id, records in notes.items() if tree_id not in dropped for record in records]
            self.commits += 1
            try:
                committed = await self._storage.commit(batch)
            except StorageBroken:
                raise
            except StorageUnavailable as error:
                if self._closing:
                    raise
                dropped.update(self._refuse_new(batch, error))
                if batch.changes or batch.deletes:
                    await self._pause(pauses)
                continue
            if committed:
                break
            refused = _refused(committed, notes)
            if not refused:
                raise StorageUnavailable("the storage refused a batch without naming a tree")
            batch.trees = [tree for tree in batch.trees if tree.id not in refused]
            batch.deletes = [delete for delete in batch.deletes if delete[0] not in refused]
            for tree_id in refused:
                batch.changes.pop(tree_id, None)
            dropped.update(refused)
        self.trouble = None
        return dropped

    def _refuse_new(self, batch: Batch, error: StorageUnavailable) -> dict[str, Exception]:
        """The storage is in trouble: new trees are refused, all else waits until it is back."""
        if self.trouble is None:
            log.error("%s; trying again until it can be written", error)
        self.trouble = error
        refused: dict[str, Exception] = {tree.id: error for tree in batch.trees}
        batch.trees = []
        for tree_id in refused:
            del batch.changes[tree_id]
        for waiting in [waiting for waiting in self._writing if waiting[0] in refused and not waiting[1].done()]:
            waiting[1].set_exception(error)
        return refused

    async def _pause(self, pauses: Iterator[float]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(next(pauses)):
                await self._ending.wait()

    def _closed(self) -> StorageUnavailable:
        if isinstance(self.failure, StorageUnavailable):
            return self.failure
        return StorageUnavailable(f"the engine has stopped, for it could not write: {self.failure}")


def _refused(committed: Committed, notes: dict[str, list[RecordWrite]]) -> dict[str, Exception]:
    """The trees of a batch that was not written because of them, and why."""
    refused: dict[str, Exception] = {tree_id: taken(ids) for tree_id, ids in committed.taken.items()}
    for tree_id in committed.lost:
        refused[tree_id] = StorageUnavailable(f"tree {tree_id!r} was changed by another owner")
    for tree_id, records in notes.items():
        if any((record.namespace, record.key) in committed.stale for record in records):
            refused[tree_id] = IdempotencyConflict("the idempotency key is used by another request at this moment")
    return refused


def _pauses() -> Iterator[float]:
    """Seconds between one try and the next: longer and longer, with some chance in it."""
    longest = PAUSE
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - no secret hangs on it
        longest = min(2 * longest, MAX_PAUSE)


def taken(ids: Sequence[str]) -> InvalidTask:
    """The refusal of a tree of which ids are stored already."""
    rule = "a stored task has this id; leave ids out, or ask for fresh ones"
    return InvalidTask(problems=tuple(Problem(rule, task=task_id, field="id", value=task_id) for task_id in ids[:20]))
