"""How many run at once."""

from __future__ import annotations

import asyncio

import pytest

from apflow_hookspecs import TaskFailed, executor

from .conftest import limited, now, settle, statuses, waiting


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.9, 3.0, 600.0])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_run_at_once_and_little_time_is_lost(clock, opened, work, seconds, concurrency):
    async def scenario():
        async with opened() as engine:
            tasks = [limited(f"t{n:02}", inputs={"seconds": seconds}, concurrency=concurrency) for n in range(24)]
            return statuses(await settle(engine, *tasks)), now()

    told, took = clock.run(scenario())
    assert set(told) == {"completed"}
    assert work.most == concurrency
    assert took <= 1.25 * (24 / concurrency) * seconds + 2


async def test_no_more_run_at_once_on_a_real_clock(opened, work):
    async with opened() as engine:
        tree = await settle(engine, *[limited(f"t{n}", inputs={"seconds": 0.001}, concurrency=3) for n in range(60)])
    assert set(statuses(tree)) == {"completed"}
    assert work.most == 3


def test_who_came_first_is_first(clock, opened, work):
    async def scenario():
        async with opened(max_concurrency=64) as engine:
            trees = []
            for n in range(12):
                trees.append(asyncio.ensure_future(settle(engine, limited(f"t{n:02}", inputs={"seconds": 30}, concurrency=2))))
                await asyncio.sleep(1)
            await asyncio.gather(*trees)

    clock.run(scenario())
    assert work.keys == sorted(work.keys)


def test_a_long_wait_holds_no_slot(clock, opened, work):
    @executor("free")
    async def free():
        return now()

    async def scenario():
        async with opened(free, max_concurrency=2) as engine:
            tasks = [limited(f"t{n}", inputs={"seconds": 3600}, concurrency=1) for n in range(4)]
            tree = await settle(engine, *tasks, {"id": "free", "parent_id": "root", "executor": "free", "priority": 3})
            return tree.tasks["free"].result

    assert clock.run(scenario()) < 5


def test_over_it_a_task_may_also_fail_at_once(clock, opened):
    async def scenario():
        async with opened() as engine:
            options = {"concurrency": 2, "when_over": "fail"}
            return await settle(engine, *[limited(f"t{n}", inputs={"seconds": 5}, **options) for n in range(3)])

    tree = clock.run(scenario())
    assert sorted(statuses(tree)) == ["completed", "completed", "rate_limited"]
    (error,) = [task.error for task in tree if task.error]
    assert error["message"].startswith("too many: executor 'work' may run 2 at once; there may be room in ")


def test_a_task_that_fails_at_once_does_not_overtake_those_who_wait(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            await settle(engine, limited("a", rate="1/minute", concurrency=1))
            waits = await waiting(engine, limited("w", rate="1/minute", concurrency=1))
            await asyncio.sleep(59.9)
            told = statuses(await settle(engine, limited("hasty", rate="1/minute", concurrency=1, when_over="fail")))
            await engine.manager.wait(waits.id)
            return told

    assert clock.run(scenario()) == ["rate_limited"]
    assert work.keys == ["a", "w"]


@pytest.mark.parametrize("ending", ["fails", "cancelled", "timeout"])
def test_a_place_is_free_again_however_the_attempt_ends(clock, opened, work, ending):
    @executor("bad")
    async def bad():
        if ending == "fails":
            raise TaskFailed("no")
        await asyncio.sleep(3600)

    async def scenario():
        async with opened(bad) as engine:
            first = {**limited("bad", "bad", concurrency=1, key="user"), "timeout": 5 if ending == "timeout" else None}
            tree = await engine.creator.create_task_tree_from_array([{"id": "root"}, first], execute=True, fresh_ids=True)
            then = asyncio.ensure_future(settle(engine, limited("then", concurrency=1, key="user")))
            await asyncio.sleep(2)
            if ending == "cancelled":
                await engine.manager.cancel(tree.id)
            await engine.manager.wait(tree.id)
            return statuses(await then), now()

    told, at = clock.run(scenario())
    assert told == ["completed"]
    assert at < 10


def test_cancelling_one_who_waits_ends_it_at_once_and_keeps_nobody_waiting_for_long(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            long = {"seconds": 3000}
            first = asyncio.ensure_future(settle(engine, limited("first", inputs=long, concurrency=1)))
            await work.started.wait()
            gone = await waiting(engine, limited("gone", inputs=long, concurrency=1))
            last = asyncio.ensure_future(settle(engine, limited("last", concurrency=1)))
            await asyncio.sleep(2500)
            begun = now()
            await engine.manager.cancel(gone.id)
            assert (await engine.manager.wait(gone.id)).status == "cancelled"
            assert now() == begun
            await asyncio.gather(first, last)

    clock.run(scenario())
    assert work.keys == ["first", "last"]
    assert work.instants[1] <= 3000 + 60


def test_one_who_is_cancelled_while_it_stands_by_leaves_no_trace(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            first = asyncio.ensure_future(settle(engine, limited("first", inputs={"seconds": 0.5}, concurrency=1)))
            await work.started.wait()
            tree = await engine.creator.create_task_tree_from_array([{**limited("root", concurrency=1)}], execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_started":
                    break
            await asyncio.sleep(0.1)
            await engine.manager.cancel(tree.id)
            assert (await engine.manager.wait(tree.id)).root.status == "cancelled"
            await asyncio.gather(first, settle(engine, limited("last", concurrency=1)))
            limiter = engine.host.policies["limit"].around.__self__
            return limiter._lines, now()

    assert clock.run(scenario()) == ({}, 0.5)
    assert work.keys == ["first", "last"]
