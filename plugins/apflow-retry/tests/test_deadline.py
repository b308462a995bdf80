"""A deadline holds for all attempts together."""

from __future__ import annotations

import asyncio

import pytest

from apflow_hookspecs import Policy, TaskFailed, Wait

DOWN = ConnectionError("down")
STEADY = {"backoff": "fixed", "jitter": "none", "max_attempts": 100}


def test_an_attempt_that_runs_is_cut_off(flaky):
    done, attempts = flaky.run(DOWN, "late", seconds=6, **STEADY, delay=1, deadline=10)
    assert (done.status, done.error["code"], done.attempt, len(attempts)) == ("failed", "deadline", 2, 1)
    assert done.error["message"] == "the attempt did not end within the deadline of 10 s"
    assert done.error["details"] == {"deadline": 10.0}
    assert flaky.clock.monotonic() == pytest.approx(10, abs=0.1)


def test_an_attempt_that_would_begin_too_late_is_not_waited_for(flaky):
    done, attempts = flaky.run(DOWN, **STEADY, delay=4, deadline=10)
    assert (done.error["code"], done.attempt, len(attempts)) == ("deadline", 3, 2)
    told = "ConnectionError: down; another attempt, after 4 s, does not begin within the deadline of 10 s"
    assert done.error["message"] == told
    assert flaky.clock.monotonic() < 9


def test_what_an_error_asks_for_does_not_prolong_it(flaky):
    done, _ = flaky.run(TaskFailed("busy", error="rate_limited", retry_after=60), deadline=30)
    assert (done.error["code"], done.attempt) == ("deadline", 1)
    assert "TaskFailed: busy; another attempt, after 60 s" in done.error["message"]


def test_an_error_that_lasts_or_comes_last_is_told_as_it_is(flaky):
    done, _ = flaky.run(DOWN, DOWN, max_attempts=2, delay=1, deadline=30)
    assert (done.error["code"], done.attempt) == ("failed", 2)


def test_no_attempt_begins_after_it(flaky):
    async def scenario():
        async with flaky.opened(DOWN, "fine", policies=[Policy("slow", delays_retries, order=100)]) as engine:
            task = {**flaky.task(**STEADY, delay=1, deadline=10), "id": "only"}
            task["policies"]["slow"] = {}
            return await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array([task]))

    async def delays_retries(call_next, context, options):
        if context.attempt == 2 and context.policy_wait is None:
            return Wait.until(flaky.clock.now() + 60_000_000)
        return await call_next()

    done = flaky.clock.run(scenario()).root
    assert (done.error["code"], done.error["message"]) == ("deadline", "no attempt began within the deadline of 10 s")
    assert len(flaky.starts) == 1


@pytest.mark.parametrize("on", [["Exception"], ["deadline"]])
def test_it_is_final_whatever_is_tried_again(flaky, on):
    done, _ = flaky.run("late", seconds=20, **STEADY, delay=1, deadline=10, on=on)
    assert (done.error["code"], done.error["message"][:26]) == ("deadline", "the attempt did not end wi")


def test_a_wait_that_would_end_after_it_fails_at_once(flaky):
    done, _ = flaky.run(Wait.until(flaky.clock.now() + 60_000_000), deadline=30)
    assert done.error["message"] == "what it waits for does not come within the deadline of 30 s"
    assert flaky.clock.monotonic() < 1


def test_a_wait_that_ends_before_it_is_waited_for(flaky):
    at = flaky.clock.now() + 20_000_000
    done, _ = flaky.run(lambda context: Wait.until(at) if context.wait is None else "fine", deadline=30)
    assert done.result == "fine"


@pytest.mark.parametrize("timeout", [3, 10])
def test_a_time_out_of_the_attempt_is_another_thing(flaky, timeout):
    done, attempts = flaky.run("late", seconds=60, timeout=timeout, **STEADY, delay=1, deadline=10)
    assert done.error["code"] == "deadline"
    assert {attempt.error["code"] for attempt in attempts} <= {"timeout"}
    assert flaky.clock.monotonic() == pytest.approx(10, abs=0.1)


def test_one_who_does_not_listen_has_no_time_left_either(flaky):
    async def deaf(call_next, context, options):
        try:
            return await call_next()
        except asyncio.CancelledError:
            return "done all the same"

    async def scenario():
        async with flaky.opened("late", seconds=20, policies=[Policy("deaf", deaf, order=300)]) as engine:
            task = flaky.task(deadline=10)
            task["policies"]["deaf"] = {}
            return await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array([task]))

    assert flaky.clock.run(scenario()).root.error["code"] == "deadline"


def test_cancelling_is_cancelling_also_under_a_deadline(flaky):
    async def scenario():
        async with flaky.opened("late", seconds=20) as engine:
            tree = await engine.creator.create_task_tree_from_array([flaky.task(deadline=10)], execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_started":
                    break
            await engine.manager.cancel("only")
            return (await engine.manager.wait(tree.id)).root

    assert flaky.clock.run(scenario()).status == "cancelled"
