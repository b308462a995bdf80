"""Parts of trees that nothing runs at the moment can be cancelled, and the rest is left as it was."""

from __future__ import annotations

import asyncio

from samples import group, noop, task

from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.checker import violations
from apflow.testing.evidence import gather
from apflow.testing.faults import lent
from apflow_hookspecs import executor

TREE = [group("root"), task("a", "slow"), task("b", "noop"), task("c", "noop", dependencies=["b"]), task("d", "noop")]


@executor("slow")
async def slow():
    await asyncio.sleep(3600)


async def test_what_is_left_of_a_tree_that_was_never_asked_to_run_can_still_be():
    async with engine_of(slow, noop) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.cancel("a")
        await engine.manager.cancel("b")
        stored = await engine.storage.tree("root")
        assert {key: t.status for key, t in stored.tasks.items()} == {
            "root": "pending",
            "a": "cancelled",
            "b": "cancelled",
            "c": "pending",
            "d": "pending",
        }
        assert stored.status == "pending"
        await engine.manager.execute(tree.id)
        done = await engine.manager.wait(tree.id)
        assert (done.tasks["c"].status, done.tasks["d"].status, done.status) == ("skipped", "completed", "cancelled")
        assert violations(await gather(engine.storage)) == []


async def test_what_is_left_of_a_tree_that_was_not_resumed_yet_goes_on_when_it_is():
    storage = MemoryStorage()
    async with engine_of(slow, noop, max_concurrency=1, **lent(storage)) as engine:
        await engine.creator.create_task_tree_from_array(TREE, execute=True)
        async for event in engine.watch("root"):
            if event.task_id == "a":
                break
    async with engine_of(slow, noop, **lent(storage)) as engine:
        await engine.manager.cancel("a")
        assert (await engine.tree("root")).status == "in_progress"
        await engine.manager.resume()
        done = await asyncio.wait_for(engine.manager.wait("root"), 30)
        assert {key: t.status for key, t in done.tasks.items() if key != "root"} == {
            "a": "cancelled",
            "b": "completed",
            "c": "completed",
            "d": "completed",
        }
        assert violations(await gather(engine.storage)) == []
