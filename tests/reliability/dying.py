"""A process that runs one small tree, and may die meanwhile; nothing but the storage and its notes outlives it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from apflow.testing import engine_of
from apflow.testing.checker import violations
from apflow.testing.evidence import gather
from apflow.testing.faults import COMMITS, Lifeline, Tripwire, lent
from apflow.testing.forest import AGAIN, Submission
from apflow.testing.journaling import JournalingExecutor
from apflow.testing.worker import Place, submit
from apflow_hookspecs.errors import StorageBroken, StorageUnavailable


def _task(key, *needed, parent="root", **fields):
    return {"id": key, "parent_id": parent, "executor": JournalingExecutor.id, "dependencies": list(needed), **fields}


DOWN = 0.1
"""Seconds of virtual time between one process and the next."""

SMALL = [
    {"id": "root"},
    _task("a", inputs={"seconds": 1}),
    _task("again", "a", policies={AGAIN.name: {}}, inputs={"failures": 1}),
    _task("bad", "a", inputs={"failures": 9}),
    _task("after-bad", "bad"),
    _task("despite-bad", {"id": "bad", "required": False}),
    {"id": "group", "parent_id": "root"},
    _task("inside", "again", parent="group"),
    _task("last", "group"),
    _task("unwanted", "last", inputs={"seconds": 1}),
]
"""Of all that may happen to a task, something; while `a` runs, `unwanted` or another one is cancelled."""


class Process:
    def __init__(self, storage, folder, cancel="unwanted"):
        folder.mkdir(parents=True)
        self.storage = storage
        self._place = Place(folder)
        self._place.entries._durable = self._place.notes._durable = False
        self._asked = Submission(SMALL, at_once=False, cancel=cancel, cancel_after=0.5)

    async def live(self, storage=None):
        """One whole life; the trees that are asked for are submitted unless they were."""
        await asyncio.sleep(DOWN)
        executor = JournalingExecutor(self._place.entries)
        options = lent(self.storage if storage is None else storage)
        async with engine_of(executor, policies=[AGAIN], max_recoveries=99, **options) as engine:
            await engine.manager.resume()
            try:
                await submit(engine, self._place, [self._asked])
            except* StorageBroken:
                raise
            except* StorageUnavailable:  # refused, as with a full disk: it is asked for once more
                await submit(engine, self._place, [self._asked])
            while running := engine.manager.running():
                await engine.manager.wait(running[0].id)

    async def live_until(self, n, *, after=False, calls=COMMITS):
        """A life that ends at the n-th call; whether it came so far."""
        lifeline = Lifeline(self.storage)
        with suppress(StorageUnavailable, ExceptionGroup):
            await self.live(Tripwire(lifeline, n, lifeline.die, after=after, calls=calls))
        return lifeline.is_cut

    async def violations(self, *, over=True):
        evidence = await gather(self.storage, self._place.entries.read(), self._place.notes.read())
        return [str(violation) for violation in violations(evidence, over=over)]

    def starts_of(self, key):
        return sum(entry.mark == "start" and entry.key == key for entry in self._place.entries.read())
