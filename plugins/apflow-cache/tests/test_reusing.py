"""Which tasks get the result of an earlier one, and which run themselves."""

from __future__ import annotations

import asyncio
import logging

import pytest

from apflow.memory.storage import MemoryStorage
from apflow.testing.clock import NOON
from apflow.testing.faults import lent
from apflow_cache.caching import REUSED
from apflow_hookspecs import Caller, TaskContext, Wait, executor, hookimpl, rfc3339
from apflow_hookspecs.errors import StorageUnavailable


def test_an_equal_task_gets_the_result_and_does_not_run(bench):
    async def scenario(engine):
        first = await bench.settle(engine, bench.task("first"))
        return first, await bench.settle(engine, bench.task("second"))

    first, second = bench.run(scenario)
    assert bench.ran == ["first"]
    assert second.tasks["second"].status == "completed"
    assert second.tasks["second"].result == first.tasks["first"].result == {"value": 1, "by": "first"}


def test_who_gets_a_result_says_so_in_its_log_and_in_its_events(bench, caplog):
    async def scenario(engine):
        first = await bench.settle(engine, bench.task("first"))
        with caplog.at_level(logging.INFO, "apflow.executor"):
            second = await bench.settle(engine, bench.task("second"))
        return first, second, await engine.storage.events(second.id)

    first, second, events = bench.run(scenario)
    (line,) = [record for record in caplog.records if record.message == REUSED]
    assert (line.task_key, line.cached_from) == ("second", first.tasks["first"].id)
    assert line.cached_at == rfc3339(NOON + 10_000_000)
    told = [event for event in events if event.type == "task_progress"]
    assert [(event.task_id, event.data["message"]) for event in told] == [(second.tasks["second"].id, REUSED)]


@pytest.mark.parametrize(
    "other",
    [
        {"value": 2},
        {"value": 1.0},
        {"executor_id": "other"},
        {"params": {"region": "eu"}},
        {"version": "2"},
        {"scope": "all"},
    ],
    ids=str,
)
def test_what_differs_is_not_equal(bench, other):
    assert bench.one_by_one(bench.task("first"), bench.task("second", **other)) == ["first", "second"]


def test_the_order_of_names_makes_no_difference(bench):
    one, other = {"a": {"x": 1, "y": [2]}, "b": None}, {"b": None, "a": {"y": [2], "x": 1}}
    assert bench.one_by_one(bench.task("first", value=one), bench.task("second", value=other)) == ["first"]


def test_inputs_count_as_they_were_resolved(bench):
    referring = bench.task("last", value={"$from": "first", "path": "/value"}, dependencies=["first"])

    async def scenario(engine):
        return await bench.settle(engine, bench.task("first", value=7), referring)

    assert bench.run(scenario).tasks["last"].result == {"value": 7, "by": "first"}
    assert bench.ran == ["first"]


def test_a_secret_counts_by_its_name(bench):
    one, other = {"$secret": "key"}, {"$secret": "other"}
    tasks = [bench.task("first", value=one), bench.task("second", value=one), bench.task("third", value=other)]
    assert bench.one_by_one(*tasks) == ["first", "third"]


def test_results_are_not_shared_between_users(bench):
    trees = [(bench.task(key), {"user_id": user}) for key, user in [("a", "ada"), ("b", "bob"), ("n", None), ("ada2", "ada")]]
    assert bench.one_by_one(*trees, (bench.task("n2"), {})) == ["a", "b", "n"]


def test_the_scope_all_shares_among_those_who_ask_for_it(bench):
    trees = [
        (bench.task("a", scope="all"), {"user_id": "ada"}),
        (bench.task("b", scope="all"), {"user_id": "bob"}),
        (bench.task("c"), {"user_id": "ada"}),
    ]
    assert bench.one_by_one(*trees) == ["a", "c"]


def test_what_comes_from_outside_and_what_is_local_are_not_shared(bench):
    remote = Caller(None, frozenset({"admin"}), "remote")

    async def scenario(engine):
        await bench.settle(engine, bench.task("local", scope="all"))
        array = [{"id": "root"}, bench.task("remote", scope="all")]
        await engine.call("tasks.execute", {"tasks": array, "wait": 60}, remote)
        return bench.ran

    assert bench.run(scenario) == ["local", "remote"]


@pytest.mark.parametrize(
    ("kept_for", "asked_for", "ran"),
    [(60, 60, ["first"]), (30, 60, ["first", "second"]), (60, 30, ["first", "second"])],
)
def test_a_result_is_reused_for_as_long_as_writer_and_reader_allow(bench, kept_for, asked_for, ran):
    async def scenario(engine):
        await bench.settle(engine, bench.task("first", ttl=kept_for))
        await asyncio.sleep(45)
        await bench.settle(engine, bench.task("second", ttl=asked_for))
        return bench.ran

    assert bench.run(scenario) == ran


def test_a_refresh_runs_and_replaces_what_is_kept(bench):
    async def scenario(engine):
        for key, refresh in (("first", False), ("second", True), ("third", False)):
            tree = await bench.settle(engine, bench.task(key, refresh=refresh))
        return tree.tasks["third"].result["by"]

    assert bench.run(scenario) == "second"
    assert bench.ran == ["first", "second"]


def test_an_error_is_not_kept(bench):
    bench.failing.add("first")
    assert bench.one_by_one(bench.task("first"), bench.task("second"), bench.task("third")) == ["first", "second"]


def test_null_is_a_result(bench):
    calls = []

    @executor("nothing")
    async def nothing():
        calls.append(1)

    async def scenario(engine):
        for key in ("first", "second"):
            own = {"id": key, "parent_id": "root", "executor": "nothing", "policies": {"cache": {}}}
            tree = await bench.settle(engine, own)
        return tree.tasks["second"]

    second = bench.run(scenario, nothing)
    assert (second.status, second.result, len(calls)) == ("completed", None, 1)


def test_each_one_gets_a_result_of_its_own_to_change(bench):
    class After:
        @hookimpl
        def apflow_after_execute(self, task, result):
            result["seen_by"] = [*result.get("seen_by", ()), task.key]
            return result

    async def scenario(engine):
        at_once = await bench.settle(engine, bench.task("a"), bench.task("b"), bench.task("c"))
        later = await bench.settle(engine, bench.task("d"))
        return [task.result["seen_by"] for tree in (at_once, later) for task in tree if task.executor]

    assert bench.run(scenario, plugins={"after": After()}) == [["a"], ["b"], ["c"], ["d"]]
    assert bench.ran == ["a"]


@executor("asking")
async def asking(context: TaskContext, value=None):
    return Wait.for_input(f"Really {value}?") if context.wait is None else context.answer


def test_what_was_answered_is_not_kept(bench):
    async def scenario(engine):
        results = []
        for key, answer in (("first", "yes"), ("second", "no")):
            tree = await bench.begin(engine, bench.task(key, "asking"))
            await asyncio.sleep(5)
            await engine.manager.answer(tree.tasks[key].id, answer)
            results.append((await engine.manager.wait(tree.id)).tasks[key].result)
        return results

    assert bench.run(scenario, asking) == ["yes", "no"]


def test_a_result_that_is_too_large_is_not_kept(bench):
    small, large = "x" * 100, "x" * 300
    tasks = [bench.task(f"{value[:1]}{n}-{len(value)}", value=value) for value in (small, large) for n in range(2)]
    assert bench.one_by_one(*tasks, sections={"cache": {"max_result_bytes": 200}}) == ["x0-100", "x0-300", "x1-300"]


def test_what_json_would_change_is_not_kept(bench):
    calls = []

    @executor("odd")
    async def odd(value=None):
        calls.append(value)
        return {1: value}

    async def scenario(engine):
        return [(await bench.settle(engine, bench.task("only", "odd"))).tasks["only"].error["code"] for _ in range(2)]

    assert bench.run(scenario, odd) == ["bad_result", "bad_result"]
    assert len(calls) == 2


@pytest.mark.parametrize("failing", ["record", "records written"])
def test_a_storage_that_fails_it_costs_a_run_and_no_more(bench, failing, caplog):
    class Failing(MemoryStorage):
        async def record(self, namespace, key):
            if failing == "record" and namespace == "cache":
                raise StorageUnavailable("no route to the disk")
            return await super().record(namespace, key)

        async def commit(self, batch):
            if failing != "record" and any(write.namespace == "cache" for write in batch.records):
                raise StorageUnavailable("no space is left on the device")
            return await super().commit(batch)

    place = lent(Failing())

    async def scenario(engine):
        return [(await bench.settle(engine, bench.task(key))).status for key in ("first", "second")]

    assert bench.run(scenario, **place) == ["completed", "completed"]
    assert bench.ran == ["first", "second"]
    assert "the cache could not be" in caplog.text
