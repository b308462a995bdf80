"""A caller who is cancelled while it waits for the k-th time, for every k, harms nobody else."""

from __future__ import annotations

import asyncio

import pytest
from samples import Recorder, group, noop, task

import apflow_sqlite
from apflow.testing import engine_of
from apflow.testing.checker import violations
from apflow.testing.evidence import gather
from apflow.testing.faults import CancelledAt
from apflow_hookspecs import executor


def array(number):
    return [
        group(f"t{number}"),
        *(task(f"t{number}.{n}", "rest", f"t{number}", dependencies=_before(number, n)) for n in range(3)),
    ]


def _before(number, n):
    return [f"t{number}.{n - 1}"] if n else []


@executor("rest")
async def rest():
    for _ in range(3):
        await asyncio.sleep(0)


async def create(engine, number):
    await engine.creator.create_task_tree_from_array(array(number))


async def create_and_run(engine, number):
    tree = await engine.creator.create_task_tree_from_array(array(number), execute=True)
    await engine.manager.wait(tree.id)


async def distribute(engine, number):
    tree = await engine.creator.create_task_tree_from_array(array(number))
    await engine.manager.distribute_task_tree(tree)


async def execute_and_cancel(engine, number):
    tree = await engine.creator.create_task_tree_from_array(array(number), execute=True)
    await engine.manager.cancel(f"t{number}.1")
    await engine.manager.wait(tree.id)


async def cancel_what_never_ran(engine, number):
    await engine.creator.create_task_tree_from_array(array(number))
    await engine.manager.cancel(f"t{number}")


async def delete(engine, number):
    await engine.creator.create_task_tree_from_array(array(number))
    await engine.editor.delete(f"t{number}")


async def watch(engine, number):
    await engine.creator.create_task_tree_from_array(array(number), execute=True)
    async for _ in engine.watch(f"t{number}"):
        pass


async def storm(engine, scenario, *, late):
    """Cancel a caller at its first await, another one at its second, and so on, until one comes through."""
    cancelled = 0
    while True:
        caller = CancelledAt(scenario(engine, cancelled), cancelled + 1, late=late)
        try:
            await asyncio.ensure_future(caller)
        except asyncio.CancelledError:
            cancelled += 1
        else:
            return cancelled


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(params=["memory", "sqlite"])
def place(request, tmp_path):
    if request.param == "memory":
        return {}
    return {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}, "durability": "process"}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize(
    "scenario", [create, create_and_run, distribute, execute_and_cancel, cancel_what_never_ran, delete, watch]
)
async def test_callers_that_are_cancelled_at_any_await_leave_an_engine_that_works(place, scenario, late):
    async with engine_of(rest, noop, **place) as engine:
        assert await storm(engine, scenario, late=late) > 0

        while running := engine.manager.running():
            await asyncio.wait_for(engine.manager.wait(running[0].id), 30)
        assert [str(violation) for violation in violations(await gather(engine.storage))] == []

        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "noop")])
        done = await asyncio.wait_for(engine.manager.distribute_task_tree(tree), 30)
        assert done.status == "completed"


async def test_a_cancellation_that_was_stored_stops_its_task_although_its_caller_is_gone(recorder):
    _, held = recorder.executors()
    async with engine_of(held) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "held")], execute=True)
        await recorder.at_gate.wait()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(CancelledAt(engine.manager.cancel("root"), 1))
        done = await asyncio.wait_for(engine.manager.wait(tree.id), 30)
    assert (done.status, recorder.ended) == ("cancelled", [])


async def test_a_coroutine_is_cancelled_at_the_await_that_was_asked_for():
    reached = []

    async def wait_often():
        for n in range(3):
            await asyncio.sleep(0)
            reached.append(n)

    for k, expected in enumerate([[], [0], [0, 1]], 1):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(CancelledAt(wait_often(), k))
        assert reached == expected
        reached.clear()
    await asyncio.ensure_future(CancelledAt(wait_often(), 4))
    assert reached == [0, 1, 2]
