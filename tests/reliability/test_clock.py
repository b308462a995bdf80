"""The virtual clock: waits, back-offs, time-outs and graces happen in their order, and take no time."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from samples import group, noop, task

from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow_hookspecs import Policy, Retry, TaskContext, Wait, executor

SECOND = 1_000_000
DAY = 86_400


@pytest.fixture
def clock():
    return VirtualClock()


async def ran(tasks, *executors, **options):
    async with engine_of(*executors, **options) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks, execute=True)
        return await engine.manager.wait(tree.id)


def test_time_passes_when_everybody_waits(clock):
    order = []

    async def nap(seconds):
        await asyncio.sleep(seconds)
        order.append((seconds, clock.monotonic()))

    async def main():
        await asyncio.gather(nap(400 * DAY), nap(0.001), nap(0), nap(DAY / 2))

    began = time.monotonic()
    clock.run(main())
    assert order == [(0, 0), (0.001, 0.001), (DAY / 2, DAY / 2), (400 * DAY, 400 * DAY)]
    assert time.monotonic() - began < DAY
    assert clock.now() == NOON + 400 * DAY * SECOND


def test_the_time_of_day_is_that_of_the_clock_while_it_runs(clock):
    async def main():
        await asyncio.sleep(DAY)
        return time.time(), time.time_ns()

    assert clock.run(main()) == (NOON / SECOND + DAY, (NOON + DAY * SECOND) * 1000)
    assert time.time_ns() // 1000 > NOON + DAY * SECOND


def test_a_task_that_waits_for_an_instant_goes_on_at_it(clock):
    seen = []

    @executor("nap")
    async def nap():
        seen.append(clock.now())
        return "rested" if len(seen) > 1 else Wait.until(NOON + 3 * DAY * SECOND)

    done = clock.run(ran([task("root", "nap")], nap))
    assert done.root.result == "rested"
    assert seen == [NOON, NOON + 3 * DAY * SECOND]
    assert done.root.completed_at == NOON + 3 * DAY * SECOND
    assert done.root.attempt == 1


def test_an_instant_that_comes_nearer_because_the_clock_is_set_is_noticed(clock):
    @executor("nap")
    async def nap(context: TaskContext):
        if clock.now() < NOON + DAY * SECOND:
            asyncio.get_running_loop().call_later(100, clock.set, DAY)
            return Wait.until(NOON + DAY * SECOND)
        return clock.monotonic()

    done = clock.run(ran([task("root", "nap")], nap))
    assert 100 <= done.root.result <= 160


def test_a_clock_that_is_set_back_makes_nobody_wait_less_or_go_on_twice(clock):
    seen = []

    @executor("nap")
    async def nap():
        seen.append(clock.monotonic())
        if len(seen) == 1:
            asyncio.get_running_loop().call_later(5, clock.set, -DAY)
            return Wait.until(NOON + 10 * SECOND)
        return None

    clock.run(ran([task("root", "nap")], nap))
    assert seen == [0, DAY + 10]


def test_retries_back_off_for_days(clock):
    starts = []

    @executor("flaky")
    async def flaky():
        starts.append(round(clock.monotonic()))
        if len(starts) < 4:
            raise ConnectionError("not yet")

    async def patient(call_next, context, options):
        try:
            return await call_next()
        except ConnectionError as error:
            raise Retry(after=3600.0 * 10**context.attempt) from error

    policy = Policy("patient", patient)
    done = clock.run(ran([task("root", "flaky", policies={"patient": {}})], flaky, policies=[policy]))
    hours = [round(start / 3600) for start in starts]
    assert hours == [0, 10, 110, 1110]
    assert (done.root.status, done.root.attempt, done.root.recoveries) == ("completed", 4, 0)


def test_a_time_out_ends_an_attempt_when_its_time_is_over(clock):
    @executor("long")
    async def long():
        await asyncio.sleep(DAY)

    done = clock.run(ran([task("root", "long", timeout=3600)], long))
    assert done.root.error["code"] == "timeout"
    assert done.root.completed_at - done.root.started_at == 3600 * SECOND


def test_without_a_time_out_of_its_own_an_attempt_has_an_hour(clock):
    @executor("long")
    async def long():
        await asyncio.sleep(DAY)

    done = clock.run(ran([task("root", "long")], long))
    assert done.root.error["code"] == "timeout"
    assert clock.monotonic() == pytest.approx(3600)


def test_what_does_not_listen_is_abandoned_after_its_grace(clock):
    @executor("deaf")
    async def deaf():
        for _ in range(10):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(DAY)

    async def main():
        async with engine_of(deaf, noop, cancel_grace=7) as engine:
            tree = await engine.creator.create_task_tree_from_array(
                [group("root"), task("a", "deaf"), task("b", "noop", dependencies=[{"id": "a", "required": False}])],
                execute=True,
            )
            await asyncio.sleep(10)
            await engine.manager.cancel("a")
            return await engine.manager.wait(tree.id), engine.manager.abandoned

    done, abandoned = clock.run(main())
    assert (done.tasks["a"].status, done.tasks["a"].error["code"]) == ("cancelled", "abandoned")
    assert done.tasks["a"].completed_at == NOON + 17 * SECOND
    assert (done.tasks["b"].status, abandoned) == ("completed", 1)
