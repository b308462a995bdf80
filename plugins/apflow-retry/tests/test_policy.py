"""What the policy does in an engine."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.faults import lent
from apflow.testing.hosting import Handed
from apflow_hookspecs import Lost, Policy, Retry, TaskFailed, Wait

DOWN = ConnectionError("down")


class Refused(TaskFailed):
    """The service refused."""


def failed(code, **fields):
    return TaskFailed("no", error=code, **fields)


def caused(error, cause):
    error.__cause__ = cause
    return error


def test_three_attempts_are_in_the_history_with_delays_within_the_bounds_of_the_jitter(flaky):
    done, attempts = flaky.run(DOWN, ValueError("odd"), "fine", delay=10)
    assert (done.status, done.result, done.attempt, done.recoveries) == ("completed", "fine", 3, 0)
    assert [(a.attempt, a.outcome, a.error["message"]) for a in attempts] == [
        (1, "retried", "ConnectionError: down"),
        (2, "retried", "ValueError: odd"),
    ]
    told = [attempt.error["retry_after"] for attempt in attempts]
    assert flaky.delays == pytest.approx(told, abs=1e-4)
    assert 0 < told[0] <= 10
    assert 0 < told[1] <= 20


def test_when_the_attempts_are_used_up_the_last_error_is_the_tasks(flaky):
    done, attempts = flaky.run(DOWN, DOWN, failed("rate_limited", details={"left": 0}))
    assert done.error == {"code": "rate_limited", "message": "no", "details": {"left": 0}}
    assert (done.attempt, len(attempts)) == (3, 2)


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (DOWN, 3),
        (failed("failed"), 3),
        (failed("timeout"), 3),
        (failed("bad_result"), 3),
        (failed("rate_limited"), 3),
        (failed("circuit_open"), 3),
        (failed("my_own_code"), 3),
        (failed("bad_input"), 1),
        (failed("denied"), 1),
        (failed("reference_missing"), 1),
        (failed("executor_missing"), 1),
        (failed("deadline"), 1),
        (failed("cancelled"), 1),
    ],
)
def test_what_would_be_the_same_the_next_time_is_not_tried_again(flaky, error, tries):
    flaky.run(error)
    assert len(flaky.starts) == tries


@pytest.mark.parametrize(
    ("on", "error", "tries"),
    [
        (["timeout"], failed("timeout"), 3),
        (["timeout"], DOWN, 1),
        (["failed"], DOWN, 3),
        (["failed"], failed("timeout"), 1),
        (["denied"], failed("denied"), 3),
        (["ConnectionError"], DOWN, 3),
        (["OSError"], DOWN, 3),
        (["builtins.OSError"], DOWN, 3),
        (["ConnectionResetError"], DOWN, 1),
        (["Refused"], Refused("no", error="denied"), 3),
        (["OSError"], caused(failed("failed"), DOWN), 3),
        (["timeout"], caused(ValueError("no"), failed("timeout")), 1),
        ([], DOWN, 1),
    ],
)
def test_codes_and_names_say_what_is_tried_again(flaky, on, error, tries):
    done, _ = flaky.run(error, on=on)
    assert len(flaky.starts) == done.attempt == tries


def test_an_error_that_is_its_own_cause_ends_nobody_in_a_circle(flaky):
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    done, _ = flaky.run(first, on=["OSError"])
    assert done.error["message"] == "ValueError: first"


def test_a_time_out_is_an_attempt_that_failed(flaky):
    done, attempts = flaky.run("late", seconds=60, timeout=5, backoff="fixed", delay=2, jitter="none")
    assert (done.error["code"], done.attempt) == ("timeout", 3)
    assert [(attempt.outcome, attempt.error["code"]) for attempt in attempts] == [("retried", "timeout")] * 2
    assert flaky.delays == pytest.approx([7, 7], abs=1e-3)


def test_what_an_error_asks_for_is_the_least_delay_also_beyond_the_longest(flaky):
    flaky.run(failed("rate_limited", retry_after=300), failed("rate_limited", retry_after=1), 1, delay=5, jitter="none")
    assert flaky.delays == pytest.approx([300, 10], abs=1e-3)


PENDING, READY = {"state": "pending"}, {"state": "ready"}
WHILE_PENDING = {"path": "/state", "one_of": ["pending"]}


def test_a_result_that_counts_as_a_failure_is_tried_again(flaky):
    done, attempts = flaky.run(PENDING, PENDING, READY, retry_if=WHILE_PENDING)
    assert (done.result, done.attempt) == (READY, 3)
    assert attempts[0].error["message"] == 'the result at /state is "pending", which counts as a failure (retry_if)'


def test_a_result_that_counts_as_a_failure_fails_the_task_when_the_attempts_are_used_up(flaky):
    done, _ = flaky.run(PENDING, retry_if=WHILE_PENDING, on=[])
    assert (done.status, done.attempt, done.error["code"]) == ("failed", 3, "failed")
    assert done.error["details"] == {"path": "/state", "value": "pending"}


def test_a_wait_of_the_executor_is_no_attempt(flaky):
    def once(context):
        at = int((flaky.clock.now() // 1_000_000 + 100) * 1_000_000)
        return Wait.until(at) if context.wait is None else context.attempt

    done, attempts = flaky.run(once, DOWN, once, once, delay=0)
    assert (done.result, done.attempt, len(attempts)) == (2, 2, 1)


def test_decisions_of_the_executor_are_not_its_to_change(flaky):
    done, attempts = flaky.run(Retry(after=50), Lost("its machine"), "fine", max_attempts=1)
    assert (done.result, done.attempt, done.recoveries) == ("fine", 2, 1)
    assert [attempt.outcome for attempt in attempts] == ["retried", "recovered"]


def test_cancelling_during_the_back_off_ends_at_once(flaky):
    async def scenario():
        async with flaky.opened(DOWN) as engine:
            tree = await engine.creator.create_task_tree_from_array([flaky.task(delay=1000, jitter="none")], execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_waiting":
                    break
            before = flaky.clock.monotonic()
            await engine.manager.cancel("only")
            done = await engine.manager.wait(tree.id)
            return done.root, flaky.clock.monotonic() - before

    done, seconds = flaky.clock.run(scenario())
    assert (done.status, done.attempt, len(flaky.starts)) == ("cancelled", 1, 1)
    assert seconds < 1


def test_no_slot_is_held_while_it_waits(flaky):
    async def scenario():
        async with flaky.opened(DOWN, "other", "fine", max_concurrency=1) as engine:
            first = {**flaky.task(delay=1000, jitter="none"), "id": "first", "parent_id": "root"}
            array = [{"id": "root"}, first, {"id": "second", "parent_id": "root", "executor": "flaky"}]
            tree = await engine.creator.create_task_tree_from_array(array)
            return await engine.manager.distribute_task_tree(tree)

    tasks = flaky.clock.run(scenario()).tasks
    assert (tasks["second"].result, tasks["first"].result) == ("other", "fine")


def test_a_closed_engine_leaves_the_back_off_to_the_next_one(flaky):
    async def scenario():
        storage = MemoryStorage()
        async with flaky.opened(DOWN, DOWN, "fine", **lent(storage)) as engine:
            task = flaky.task(backoff="fixed", delay=1000, jitter="none", deadline=2500)
            tree = await engine.creator.create_task_tree_from_array([task], execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_waiting" and event.attempt == 2:
                    break
        await asyncio.sleep(10)
        async with flaky.opened(DOWN, DOWN, "fine", **lent(storage)) as engine:
            await engine.manager.resume()
            return (await engine.manager.wait("only")).root, await storage.attempts("only")

    done, attempts = flaky.clock.run(scenario())
    assert (done.result, done.attempt, done.recoveries) == ("fine", 3, 0)
    assert [(attempt.attempt, attempt.outcome) for attempt in attempts] == [(1, "retried"), (2, "retried")]
    assert flaky.delays == pytest.approx([1000, 1000], abs=1e-3)


def noting(name, order, log):
    """A plugin whose policy notes that it is entered."""

    async def around(call_next, context, options):
        log.append((name, context.attempt))
        return await call_next()

    return Handed(policies=(Policy(name, around, order=order),))


@pytest.mark.parametrize("names", list(permutations(["retry", "before", "after"])))
def test_it_stands_between_others_by_its_order_whatever_the_order_of_installation(flaky, names):
    log = []
    plugins = {"retry": flaky.plugin, "before": noting("before", 100, log), "after": noting("after", 400, log)}

    async def scenario():
        async with engine_of(flaky.executor([DOWN, DOWN, "fine"]), plugins={name: plugins[name] for name in names}) as engine:
            task = {"id": "only", "executor": "flaky", "policies": {name: {} for name in reversed(names)}}
            await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array([task]))

    flaky.clock.run(scenario())
    assert log == [(name, attempt) for attempt in (1, 2, 3) for name in ("before", "after")]


def test_what_is_inside_of_it_hears_only_of_its_own_attempt(flaky):
    heard = []

    async def hears(call_next, context, options):
        try:
            return await call_next()
        except Exception as error:
            heard.append(type(error))
            raise

    async def scenario():
        around = [Policy("outside", hears, order=100), Policy("inside", hears, order=300)]
        async with flaky.opened(DOWN, "fine", policies=around) as engine:
            task = {**flaky.task(), "policies": {"inside": {}, "outside": {}, "retry": {}}}
            await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array([task]))

    flaky.clock.run(scenario())
    assert heard == [ConnectionError, Retry]
