"""An engine that is closed leaves to the next one what it did not finish, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from samples import group, task

from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow.testing.faults import lent
from apflow_hookspecs import executor

COMMIT = 10.0


@executor("work")
async def work(seconds: float):
    await asyncio.sleep(seconds)
    return seconds


@pytest.fixture
def recorded():
    class Recorded:
        starts = 0

        def __init__(self):
            @executor("deaf")
            async def deaf():
                self.starts += 1
                for _ in range(3):
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        continue

            self.deaf = deaf

    return Recorded()


class Slow(MemoryStorage):
    """Commits take a while."""

    async def commit(self, batch):
        committed = await super().commit(batch)
        await asyncio.sleep(COMMIT)
        return committed


async def started(engine, *keys):
    """Wait until these tasks were started."""
    missing = set(keys)
    async for event in engine.watch("root"):
        if event.type == "task_started":
            missing.discard(event.task_id)
        if not missing:
            return


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(1, {"first": "completed", "second": "completed"}), (100, {"first": "completed", "second": "pending"})],
    ids=["ended", "running"],
)
def test_what_is_due_when_it_closes_in_the_midst_of_a_commit_is_written(seconds, left):
    async def scenario():
        storage = Slow()
        async with engine_of(work, **lent(storage)) as engine:
            tasks = [group("root"), task("first", "work", seconds=0.5), task("second", "work", seconds=seconds)]
            await engine.creator.create_task_tree_from_array(tasks, execute=True)
            await started(engine, "first", "second")
            await asyncio.sleep(2)
        tree = await storage.tree("root")
        assert {key: tree.tasks[key].status for key in left} == left
        assert {each.recoveries for each in tree} == {0}

    VirtualClock().run(scenario())


def test_a_cancellation_that_was_acknowledged_is_not_undone_by_closing(recorded):
    storage = MemoryStorage()

    async def scenario():
        async with engine_of(recorded.deaf, cancel_grace=5, **lent(storage)) as engine:
            tree = await engine.creator.create_task_tree_from_array([task("root", "deaf")], execute=True)
            await started(engine, "root")
            await engine.manager.cancel(tree.id)
        async with engine_of(recorded.deaf, **lent(storage)) as engine:
            assert await engine.manager.resume() == []
            assert (await engine.tree("root")).root.error["code"] == "cancelled"

    VirtualClock().run(scenario())
    assert recorded.starts == 1
