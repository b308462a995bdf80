"""Watching: gapless, in order, from wherever one was, to the end of the run."""

from __future__ import annotations

import asyncio

import pytest
from samples import add, boom, group, noop, task

from apflow.testing import engine_of
from apflow_hookspecs.errors import NotFound


async def test_a_watcher_sees_every_event_once_and_ends_with_the_run():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), *(task(f"t{i}", "noop") for i in range(600))], execute=True
        )
        seen = [event async for event in engine.watch(tree.id)]

    assert [event.seq for event in seen] == list(range(1, 2 * 600 + 6))
    assert [event.type for event in seen].count("tree_settled") == 1
    assert seen[-1].type == "tree_settled"


async def test_a_slow_watcher_loses_nothing_and_holds_nobody_up():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), *(task(f"t{i}", "noop") for i in range(2000))])
        watcher = engine.watch(tree.id)
        first = await anext(watcher)
        await engine.manager.distribute_task_tree(tree)
        rest = [event async for event in watcher]

    assert [event.seq for event in [first, *rest]] == list(range(1, 2 * 2000 + 6))


@pytest.mark.parametrize("after", [0, 1, 3, 7])
async def test_a_watcher_goes_on_where_it_was(after):
    async with engine_of(add) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "add", a=1)])
        await engine.manager.distribute_task_tree(tree)
        seen = [event.seq async for event in engine.watch(tree.id, after)]

    assert seen == list(range(after + 1, 8))


async def test_every_watcher_of_a_tree_sees_the_same():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), *(task(f"t{i}", "noop") for i in range(50))])

        async def watch():
            return [event async for event in engine.watch(tree.id)]

        watchers = [asyncio.ensure_future(watch()) for _ in range(3)]
        await engine.manager.distribute_task_tree(tree)
        one, two, three = await asyncio.gather(*watchers)

    assert one == two == three


async def test_watchers_end_when_the_engine_closes():
    first = asyncio.Event()

    async def watch(engine):
        seen = []
        async for event in engine.watch("root"):
            seen.append(event.type)
            first.set()
        return seen

    async with engine_of(noop) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "noop")])
        watching = asyncio.ensure_future(watch(engine))
        await first.wait()

    assert await asyncio.wait_for(watching, 5) == ["tree_created"]


async def test_what_is_not_there_cannot_be_watched():
    async with engine_of() as engine:
        with pytest.raises(NotFound):
            await anext(engine.watch("nobody"))


async def test_an_error_is_told_with_the_event_that_ends_its_task():
    async with engine_of(boom) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "boom", message="thin ice")])
        await engine.manager.distribute_task_tree(tree)
        (ended,) = [event async for event in engine.watch(tree.id) if event.type == "task_settled"]

    assert ended.status == "failed"
    assert ended.data["error"]["message"] == "ValueError: thin ice"


async def test_a_watcher_ends_with_what_was_done_to_a_tree_after_its_run():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "noop")])
        await engine.manager.distribute_task_tree(tree)
        after = (await engine.tree("root")).last_event
        await engine.editor.archive("root")
        async with asyncio.timeout(20):
            assert [event.type async for event in engine.watch("root", after)] == ["tree_archived"]
