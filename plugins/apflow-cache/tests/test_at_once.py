"""Equal tasks that run at once: one does the work, the others wait for it, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from attrs import frozen

from apflow.testing.clock import NOON
from apflow_hookspecs import Policy, Retry, TaskContext, Wait, executor


def three(bench, executor_id="slow", **fields):
    return [bench.task(key, executor_id, **fields) for key in "abc"]


def of_work(tree):
    return {task.key: task for task in tree if task.executor}


def test_equal_tasks_that_run_at_once_run_once(bench):
    async def scenario(engine):
        return of_work(await bench.settle(engine, *three(bench), bench.task("d", value=2)))

    done = bench.run(scenario)
    assert bench.ran == ["a", "d"]
    assert {key: task.result["by"] for key, task in done.items()} == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert bench.clock.monotonic() < 11


def test_what_is_too_large_to_be_kept_is_shared_all_the_same(bench):
    async def scenario(engine):
        return await bench.settle(engine, *three(bench))

    assert bench.run(scenario, sections={"cache": {"max_result_bytes": 0}}).status == "completed"
    assert bench.ran == ["a"]


def test_the_next_one_runs_when_the_first_fails(bench):
    bench.failing.add("a")

    async def scenario(engine):
        return of_work(await bench.settle(engine, *three(bench)))

    done = bench.run(scenario)
    assert bench.ran == ["a", "b"]
    assert [task.status for task in done.values()] == ["failed", "completed", "completed"]
    assert done["c"].result["by"] == "b"


def test_the_next_one_runs_when_the_first_is_cancelled_and_a_waiting_one_that_is_cancelled_harms_nobody(bench):
    async def scenario(engine):
        tree = await bench.begin(engine, *three(bench), bench.task("d"))
        ended = {}
        for key in ("c", "a"):
            await asyncio.sleep(2)
            await engine.manager.cancel(tree.tasks[key].id)
            async for event in engine.watch(tree.id):
                if (event.type, event.task_id) == ("task_settled", tree.tasks[key].id):
                    ended[key] = bench.clock.monotonic()
                    break
        return of_work(await engine.manager.wait(tree.id)), ended

    done, ended = bench.run(scenario)
    assert bench.ran == ["a", "b"]
    assert {key: task.status for key, task in done.items()} == {
        "a": "cancelled", "b": "completed", "c": "cancelled", "d": "completed",
    }  # fmt: skip
    assert done["d"].result["by"] == "b"
    assert (2 <= ended["c"] < 2.1, 4 <= ended["a"] < 4.1) == (True, True)


def test_one_whose_time_is_over_while_it_waits_fails_alone(bench):
    async def scenario(engine):
        return of_work(await bench.settle(engine, bench.task("a"), bench.task("b", timeout=3), bench.task("c")))

    done = bench.run(scenario)
    assert [(task.status, (task.error or {}).get("code")) for task in done.values()] == [
        ("completed", None), ("failed", "timeout"), ("completed", None),
    ]  # fmt: skip
    assert bench.ran == ["a"]


@pytest.mark.parametrize("bound", [{"max_concurrency": 1}, {"limits": {"slow": 1}}, {"max_concurrency": 2}], ids=str)
def test_no_limit_of_slots_makes_them_wait_for_each_other(bench, bound):
    async def scenario(engine):
        return await bench.settle(engine, *three(bench))

    assert bench.run(scenario, **bound).status == "completed"
    assert bench.ran == ["a"]


@frozen
class Times:
    times: int = 1


async def again(call_next, context, options):
    try:
        return await call_next()
    except ValueError as error:
        if context.attempt > options.times:
            raise
        raise Retry(after=60) from error


AGAIN = Policy("again", again, options=Times, order=200)


@pytest.mark.parametrize("bound", [{}, {"max_concurrency": 1}], ids=str)
def test_while_the_first_one_waits_for_its_next_attempt_the_next_one_runs(bench, bound):
    bench.failing.add("a")

    async def scenario(engine):
        return of_work(await bench.settle(engine, *three(bench, also={"again": {}})))

    done = bench.run(scenario, policies=[AGAIN], **bound)
    assert bench.ran == ["a", "b"]
    assert [(task.status, task.attempt, task.result["by"]) for task in done.values()] == [
        ("completed", 2, "b"), ("completed", 1, "b"), ("completed", 1, "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("bound", [{}, {"max_concurrency": 1}], ids=str)
def test_while_the_first_one_waits_for_an_instant_the_next_one_goes_on(bench, bound):
    @executor("patient")
    async def patient(context: TaskContext, value=None):
        if context.wait is None:
            bench.ran.append(context.task.key)
            await asyncio.sleep(1)
            return Wait.until(round(bench.clock.now() + 60e6))
        return context.task.key

    async def scenario(engine):
        return of_work(await bench.settle(engine, *three(bench, "patient")))

    done = bench.run(scenario, patient, **bound)
    assert [task.result for task in done.values()] == ["a", "b", "c"]
    assert bench.ran == ["a", "b", "c"]


@pytest.mark.parametrize("ended_by", ["cancelled", "timeout"])
def test_an_executor_that_ignores_its_end_holds_nobody_up_and_leaves_no_half_result(bench, ended_by):
    @executor("stubborn")
    async def stubborn(context: TaskContext, value=None):
        bench.ran.append(context.task.key)
        if context.task.key != "a":
            return "whole"
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(20)
        return "half"

    first = bench.task("a", "stubborn", timeout=5 if ended_by == "timeout" else None)

    async def scenario(engine):
        tree = await bench.begin(engine, first, bench.task("b", "stubborn"))
        await asyncio.sleep(5)
        if ended_by == "cancelled":
            await engine.manager.cancel(tree.tasks["a"].id)
        done = of_work(await engine.manager.wait(tree.id))
        await asyncio.sleep(100)
        last = await bench.settle(engine, bench.task("c", "stubborn"))
        return done, last.tasks["c"].result

    done, last = bench.run(scenario, stubborn, cancel_grace=30)
    assert (done["a"].status == "completed", done["b"].result, last) == (False, "whole", "whole")
    assert done["b"].completed_at - NOON < 7_000_000
    assert bench.ran == ["a", "b"]


def test_a_fresh_result_is_not_one_that_was_begun_before_it_was_asked_for(bench):
    async def scenario(engine):
        early = await bench.begin(engine, bench.task("a"))
        await asyncio.sleep(5)
        fresh = await bench.settle(engine, bench.task("b", refresh=True))
        return (await engine.manager.wait(early.id)).tasks["a"].result["by"], fresh.tasks["b"].result["by"]

    assert bench.run(scenario) == ("a", "b")


def test_those_who_ask_for_a_fresh_result_share_one_that_was_begun_with_them(bench):
    tasks = [bench.task("a"), bench.task("b", refresh=True), bench.task("c", refresh=True)]

    async def scenario(engine):
        await bench.settle(engine, bench.task("old"))
        return of_work(await bench.settle(engine, *tasks))

    done = bench.run(scenario)
    assert bench.ran == ["old", "b"]
    assert [task.result["by"] for task in done.values()] == ["old", "b", "b"]
