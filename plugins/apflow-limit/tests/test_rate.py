"""How many begin within a time."""

from __future__ import annotations

import asyncio

import pytest

from apflow_hookspecs import Policy, Retry, TaskContext, Wait, executor
from apflow_limit.tokens import SWEEP, Rates

from .conftest import limited, now, settle, statuses, waiting


def within(instants, seconds):
    """The most that began within any so many seconds."""
    return max(sum(at <= other < at + seconds for other in instants) for at in instants)


def test_no_more_begin_within_the_time_than_its_rate_says_and_all_get_their_turn_in_order(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            tree = await settle(engine, *[limited(f"t{n:02}", rate="5/10 seconds") for n in range(23)])
            return statuses(tree)

    assert set(clock.run(scenario())) == {"completed"}
    assert within(work.instants, 10) == 5
    assert work.keys == sorted(work.keys)
    assert max(work.instants) < 50


def test_each_waits_once_or_twice(clock, opened):
    async def scenario():
        async with opened() as engine:
            tree = await settle(engine, *[limited(f"t{n}", rate="10/minute") for n in range(40)])
            return [event.type for event in await engine.storage.events(tree.id, limit=100_000)].count("task_waiting")

    assert clock.run(scenario()) <= 60


def test_what_waits_holds_no_slot(clock, opened, work):
    @executor("free")
    async def free():
        return now()

    async def scenario():
        async with opened(free, max_concurrency=2) as engine:
            tasks = [limited(f"t{n}", rate="1/hour") for n in range(4)]
            tree = await settle(engine, *tasks, {"id": "free", "parent_id": "root", "executor": "free", "priority": 3})
            return tree.tasks["free"].result

    assert clock.run(scenario()) < 1
    assert [round(at, -1) for at in work.instants] == [0, 3600, 7200, 10800]


def test_over_the_rate_a_task_may_also_fail_at_once(clock, opened):
    async def scenario():
        async with opened() as engine:
            return await settle(engine, *[limited(f"t{n}", rate="2/minute", when_over="fail") for n in range(3)])

    tree = clock.run(scenario())
    assert sorted(statuses(tree)) == ["completed", "completed", "rate_limited"]
    (error,) = [task.error for task in tree if task.error]
    assert error["message"] == "too many: executor 'work' may run 2/minute; there may be room in 60 s"


def test_every_attempt_takes_a_token(clock, opened):
    tries = []

    @executor("flaky")
    async def flaky(context: TaskContext):
        tries.append((now(), context.attempt))
        raise ConnectionError

    async def patient(call_next, context, options):
        try:
            return await call_next()
        except ConnectionError as error:
            if context.attempt == 5:
                raise
            raise Retry(after=1) from error

    async def scenario():
        async with opened(flaky, policies=[Policy("patient", patient, order=200)]) as engine:
            return await settle(engine, limited("f", "flaky", rate="2/minute", policies={"patient": {}}))

    tree = clock.run(scenario())
    assert tree.tasks["f"].attempt == 5
    assert [attempt for _, attempt in tries] == [1, 2, 3, 4, 5]
    assert within([at for at, _ in tries], 60) == 2


def test_a_call_after_a_wait_of_the_executor_takes_a_token_too(clock, opened):
    @executor("nap")
    async def nap(context: TaskContext):
        return Wait.until(0) if context.wait is None else now()

    async def scenario():
        async with opened(nap) as engine:
            tree = await settle(engine, limited("n", "nap", rate="1/minute"))
            return tree.tasks["n"]

    done = clock.run(scenario())
    assert (done.attempt, round(done.result)) == (1, 60)


def test_two_trees_share_a_limit_and_other_numbers_are_another_one(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            await asyncio.gather(
                settle(engine, limited("a", rate="1/minute")),
                settle(engine, limited("b", rate="1/minute")),
                settle(engine, limited("c", rate="1/hour")),
            )

    clock.run(scenario())
    assert sorted(round(at) for at in work.instants) == [0, 0, 60]


@pytest.mark.parametrize("at", [30, 500])
def test_those_behind_a_cancelled_task_move_up(clock, opened, work, at):
    async def scenario():
        async with opened() as engine:
            await settle(engine, limited("first", rate="1/hour"))
            gone = await waiting(engine, *[limited(f"gone{n}", rate="1/hour") for n in range(20)])
            stays = asyncio.ensure_future(settle(engine, limited("stays", rate="1/hour")))
            await asyncio.sleep(at)
            begun = now()
            await engine.manager.cancel(gone.id)
            assert (await engine.manager.wait(gone.id)).status == "cancelled"
            assert now() == begun
            await stays

    clock.run(scenario())
    assert work.keys == ["first", "stays"]
    assert work.instants[1] == pytest.approx(3600, abs=1)


def test_keys_that_nobody_uses_any_more_are_forgotten(clock):
    rates = Rates()

    async def scenario():
        for n in range(SWEEP - 2):
            assert rates.tokens("1/second", f"user {n}").take(0)
        await asyncio.sleep(2)
        for _ in range(2):
            rates._storage.timer.join()  # the library looks for what has expired in a thread
            assert rates.tokens("2/second", "user").take(0)

    clock.run(scenario())
    assert len(rates._storage.events) == 1
