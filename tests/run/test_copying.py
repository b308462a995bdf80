"""Copies that are stored and run: only what has to run runs, and the source stays as it was."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from drawn import array_of
from samples import Recorder, group, noop, task

from apflow import memory
from apflow.copying import Choice
from apflow.testing import engine_of
from apflow_hookspecs import (
    Caller,
    Problem,
    StorageOptions,
    StorageScheme,
    TaskContext,
    TaskFailed,
    TaskQuery,
    executor,
    hookimpl,
)
from apflow_hookspecs.errors import InvalidParams, InvalidTask, InvalidTree, NotFound

from .test_growth import Counted, Counting

FLOW = """
    root
      fetch  pending
      parse  pending < fetch*
      report pending < parse*
      apart  pending
"""


class Flow:
    """The executor of a flow: counts who ran, and fails those that are to fail."""

    def __init__(self, *failing):
        self.failing = set(failing)
        self.ran = Counter()

    @property
    def executor(self):
        @executor("note")
        async def note(context: TaskContext, **inputs):
            self.ran[context.task.key] += 1
            if context.task.key in self.failing:
                raise TaskFailed("not today")
            return f"{context.task.key} #{self.ran.total()}"

        return note


async def ran(engine, drawing=FLOW):
    """A tree that ran."""
    tree = await engine.creator.create_task_tree_from_array(array_of(drawing))
    return await engine.manager.distribute_task_tree(tree)


async def run(engine, tree):
    return await asyncio.wait_for(engine.manager.distribute_task_tree(tree), 60)


def statuses(tree):
    return {t.key: t.status.value for t in tree if t.executor}


async def test_a_tree_that_failed_in_a_leaf_is_tried_again_without_repeating_what_completed():
    flow = Flow("parse")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        assert statuses(tree) == {"fetch": "completed", "parse": "failed", "report": "skipped", "apart": "completed"}
        flow.failing.clear()
        flow.ran.clear()
        report = await engine.creator.copy(tree.tasks["parse"])
        done = await run(engine, report.tree)

    assert (report.run_again, report.carried_over, report.left_out) == (("parse",), ("fetch",), ("report",))
    assert flow.ran == {"parse": 1}
    assert (done.status, statuses(done)) == ("completed", {"fetch": "completed", "parse": "completed"})
    assert done.tasks["fetch"].result == tree.tasks["fetch"].result
    assert (done.tasks["fetch"].run, done.tasks["parse"].run) == (0, 1)


async def test_with_all_dependents_the_rest_of_the_flow_goes_on():
    flow = Flow("parse")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        flow.failing.clear()
        flow.ran.clear()
        again = await engine.creator.create_task_copy(tree.tasks["parse"], dependents="all")
        done = await run(engine, again)

    assert flow.ran == {"parse": 1, "report": 1}
    assert statuses(done) == {"fetch": "completed", "parse": "completed", "report": "completed"}


async def test_a_copy_can_be_executed_in_the_transaction_that_stores_it():
    flow = Flow()
    counting = Counting()
    async with engine_of(flow.executor, url="counting:", plugins={"counting": counting}) as engine:
        tree = await ran(engine)
        flow.ran.clear()
        again = await engine.creator.create_task_copy(tree.tasks["parse"].id, execute=True)
        assert (again.run, again.status) == (1, "in_progress")
        done = await asyncio.wait_for(engine.manager.wait(again.id), 60)

    assert done.status == "completed"
    assert flow.ran == {"parse": 1, "report": 1}


async def test_the_source_stays_as_it_was_while_its_copy_runs():
    flow = Flow("parse")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        rows = [(t.id, t.status, t.result, t.error, t.updated_at) for t in tree]
        events = await engine.storage.events(tree.id)
        flow.failing.clear()
        await run(engine, await engine.creator.create_task_copy(tree.tasks["fetch"], overrides={"fetch": {"name": "Other"}}))
        stored = await engine.storage.tree(tree.id)
        assert await engine.storage.events(tree.id) == events

    assert [(t.id, t.status, t.result, t.error, t.updated_at) for t in stored] == rows
    assert stored.tasks["fetch"].name == "fetch"


async def test_a_copy_of_a_copy_knows_its_direct_source_and_runs_what_is_left():
    flow = Flow("parse", "report")
    async with engine_of(flow.executor) as engine:
        first = await ran(engine)
        flow.failing.remove("parse")
        second = await run(engine, await engine.creator.create_task_copy(first.tasks["parse"], dependents="all"))
        assert statuses(second) == {"fetch": "completed", "parse": "completed", "report": "failed"}
        flow.failing.clear()
        flow.ran.clear()
        third = await run(engine, await engine.creator.create_task_copy(second.tasks["report"]))

    assert flow.ran == {"report": 1}
    assert third.status == "completed"
    assert list(third.tasks) == list(second.tasks) == ["root", "fetch", "parse", "report"]
    assert [t.original_task_id for t in third] == [t.id for t in second]
    assert len({t.id for tree in (first, second, third) for t in tree}) == 5 + 4 + 4


async def test_a_working_root_that_was_left_out_stands_as_a_group_until_it_is_included():
    flow = Flow("b")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine, "root pending < a b\n  a pending\n  b pending")
        flow.failing.clear()
        flow.ran.clear()
        report = await engine.creator.copy("b")
        done = await run(engine, report.tree)
        assert (report.left_out, done.root.executor, done.status) == (("root",), None, "completed")
        assert flow.ran == {"b": 1}
        done = await run(engine, await engine.creator.create_task_copy(tree.tasks["b"], dependents="all"))

    assert flow.ran == {"b": 2, "root": 1}
    assert done.root.result == "root #3"


async def test_an_optional_dependency_that_failed_is_carried_over_as_it_is():
    flow = Flow("probe", "end")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine, "root\n  probe pending\n  end pending < probe?")
        flow.failing.clear()
        flow.ran.clear()
        done = await run(engine, await engine.creator.create_task_copy(tree.tasks["end"]))

    assert flow.ran == {"end": 1}
    assert statuses(done) == {"probe": "failed", "end": "completed"}
    assert done.tasks["probe"].error == tree.tasks["probe"].error
    assert done.status == "failed"


async def test_a_tree_that_runs_can_be_copied(recorder: Recorder):
    note, held = recorder.executors()
    async with engine_of(note, held) as engine:
        array = [group("root"), task("a", "note"), task("b", "held", dependencies=["a"]), task("c", "note", dependencies=["b"])]
        tree = await engine.creator.create_task_tree_from_array(array, execute=True)
        await asyncio.wait_for(recorder.at_gate.wait(), 60)
        report = await engine.creator.copy("c")
        recorder.gate.set()
        await asyncio.wait_for(engine.manager.wait(tree.id), 60)
        assert (report.run_again, report.carried_over) == (("b", "c"), ("a",))
        done = await run(engine, report.tree)

    assert done.status == "completed"
    assert Counter(recorder.ended) == {"a": 1, "b": 2, "c": 2}


async def test_overrides_change_what_runs():
    flow = Flow("fetch")

    @executor("mended")
    async def mended(value: int = 0):
        return value

    async with engine_of(flow.executor, mended) as engine:
        tree = await ran(engine)
        again = await engine.creator.create_task_copy(
            tree.tasks["fetch"], overrides={"fetch": {"executor": "mended", "inputs": {"value": 7}}}
        )
        done = await run(engine, again)

    assert done.tasks["fetch"].result == 7
    assert (tree.tasks["fetch"].executor, tree.tasks["fetch"].inputs) == ("note", {})


async def test_what_is_not_saved_is_an_array_that_can_be_created():
    flow = Flow("parse")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        array = await engine.creator.create_task_copy(tree.tasks["parse"], dependents="all", save=False)
        assert await engine.storage.count(TaskQuery(root_only=True)) == {"failed": 1}
        assert [set(fields) & {"id", "status", "result"} for fields in array] == [set()] * 4
        flow.failing.clear()
        flow.ran.clear()
        done = await run(engine, await engine.creator.create_task_tree_from_array(array))

    assert flow.ran == {"fetch": 1, "parse": 1, "report": 1}
    assert list(done.tasks) == ["root", "fetch", "parse", "report"]


async def test_an_array_that_is_not_saved_is_the_callers_own():
    flow = Flow()
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        array = await engine.creator.create_task_copy(tree.tasks["parse"], save=False)
        array[2]["inputs"]["fetch"]["$from"] = "nobody"
        stored = await engine.storage.tree(tree.id)

    assert tree.tasks["parse"].inputs == stored.tasks["parse"].inputs == {"fetch": {"$from": "fetch"}}


async def test_a_dry_run_stores_nothing():
    flow = Flow("parse")
    async with engine_of(flow.executor) as engine:
        tree = await ran(engine)
        report = await engine.creator.copy(tree.tasks["parse"], dry_run=True)
        assert await engine.storage.count(TaskQuery()) == {"completed": 2, "failed": 2, "skipped": 1}

    assert (report.tree, report.tasks, report.ids) == (None, None, {})
    assert (report.run_again, report.carried_over, report.left_out) == (("parse",), ("fetch",), ("report",))


async def test_a_copy_that_is_not_saved_cannot_be_executed():
    flow = Flow()
    async with engine_of(flow.executor) as engine:
        await ran(engine)
        with pytest.raises(InvalidParams, match=r"execute = True: a copy that is not stored \(save = False\) cannot run"):
            await engine.creator.copy("fetch", save=False, execute=True)


async def test_a_task_that_is_not_there_cannot_be_copied():
    async with engine_of(noop) as engine:
        with pytest.raises(NotFound, match="'nowhere'"):
            await engine.creator.create_task_copy("nowhere")


async def test_a_custom_copy_runs_chosen_tasks_and_tells_which_dependents_are_missing():
    flow = Flow()
    async with engine_of(flow.executor) as engine:
        await ran(engine)
        flow.ran.clear()
        with pytest.raises(InvalidTree, match="report → parse;") as refused:
            await engine.creator.create_task_copy("root", copy_mode="custom", task_ids=["fetch", "parse"])
        assert "include_dependents adds it, allow_partial accepts it" in str(refused.value)
        choice = Choice(copy_mode="custom", task_ids=["fetch", "parse"], allow_partial=True)
        report = await engine.creator.copy("root", choice)
        await run(engine, report.tree)

    assert report.left_out == ("report",)
    assert flow.ran == {"fetch": 1, "parse": 1}


class Strict:
    """A plugin that notes whom it is asked about, and refuses a name."""

    def __init__(self):
        self.asked = []
        self.trees = 0

    @hookimpl
    def apflow_validate_task(self, task):
        self.asked.append(task.key)
        if task.name == "bad":
            yield Problem("is a bad name", field="name", value=task.name)
        if task.name == "odd":
            yield Problem("is an odd name", field="name", value=task.name, severity="warning")

    @hookimpl
    def apflow_validate_tree(self, tree):
        self.trees += 1
        return ()


async def test_validators_look_at_what_runs_again_and_at_the_tree():
    strict = Strict()
    async with engine_of(noop, plugins={"strict": strict}) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "noop"), task("b", "noop", dependencies=["a"])]
        )
        await engine.manager.distribute_task_tree(tree)
        strict.asked, strict.trees = [], 0
        await engine.creator.create_task_copy("b")
        assert (strict.asked, strict.trees) == (["b"], 1)
        with pytest.raises(InvalidTask, match="task 'b', name = 'bad': is a bad name"):
            await engine.creator.create_task_copy("b", overrides={"b": {"name": "bad"}})
        report = await engine.creator.copy("b", overrides={"b": {"name": "odd"}})

    assert [str(warning) for warning in report.warnings] == ["task 'b', name = 'odd': is an odd name"]


class Lasting(Counted):
    async def close(self):
        """It is there for the next engine."""


async def test_what_is_carried_over_needs_its_executor_no_longer():
    flow = Flow("parse")
    storage = Lasting(await memory.open_memory("memory:", StorageOptions()), Counting())

    async def open_again(url, options):
        return storage

    class Plugin:
        @hookimpl
        def apflow_storages(self):
            yield StorageScheme("lasting", open_again)

    settings = {"url": "lasting:", "plugins": {"lasting": Plugin()}}
    async with engine_of(flow.executor, noop, **settings) as engine:
        await run(
            engine,
            await engine.creator.create_task_tree_from_array(
                [group("root"), task("fetch", "noop"), task("parse", "note", dependencies=["fetch"])]
            ),
        )
    flow.failing.clear()
    async with engine_of(flow.executor, **settings) as engine:
        done = await run(engine, await engine.creator.create_task_copy("parse"))

    assert statuses(done) == {"fetch": "completed", "parse": "completed"}


async def test_a_broken_override_is_refused_as_in_creation_and_nothing_is_stored():
    flow = Flow()
    async with engine_of(flow.executor) as engine:
        await ran(engine)
        with pytest.raises(InvalidTask, match="task 'fetch', priority = 77: must be an integer from 0"):
            await engine.creator.create_task_copy("fetch", overrides={"fetch": {"priority": 77}})
        assert await engine.storage.count(TaskQuery(root_only=True)) == {"completed": 1}


async def test_a_copy_takes_the_stricter_origin_and_keeps_its_owner():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "noop")], caller=Caller("ada"))
        copy = await engine.creator.create_task_copy(tree.root, caller=Caller.local("bob"))
        stored = await engine.storage.tree(copy.id)

    assert (stored.user_id, stored.origin) == ("ada", "remote")


async def test_dependents_are_found_by_id():
    flow = Flow()
    async with engine_of(flow.executor) as engine:
        await ran(engine)
        other = await engine.creator.create_task_tree_from_array([{"id": "other", "executor": "note"}])
        find = engine.creator.find_dependents
        assert [t.key for t in await find(["fetch"])] == ["parse", "report"]
        assert [t.key for t in await find(["fetch"], transitive=False)] == ["parse"]
        assert await find([]) == []
        with pytest.raises(NotFound, match="'nowhere'"):
            await find(["fetch", "nowhere"])
        with pytest.raises(InvalidParams, match="task 'other' is in tree 'other', and others are in 'root'"):
            await find(["fetch", other.id])


@pytest.mark.parametrize("dependents", ["auto", "all"])
async def test_storage_calls_do_not_grow_with_the_tree(dependents):
    small, large = await calls(100, dependents), await calls(2_000, dependents)

    assert large == small
    assert large["commit"] == 1


async def calls(size, dependents):
    """What a copy of a tree of some size asks of its storage."""
    counting = Counting()
    async with engine_of(noop, url="counting:", plugins={"counting": counting}) as engine:
        array = [group("root"), *(task(f"t{n}", "noop", dependencies=[f"t{n // 2}"] if n else []) for n in range(size))]
        await run(engine, await engine.creator.create_task_tree_from_array(array))
        counting.calls.clear()
        await engine.creator.create_task_copy("t0", dependents=dependents)
        return Counter(counting.calls)


async def test_a_dry_run_in_python_is_the_report():
    async with engine_of(noop) as engine:
        tasks = [group("root"), task("a", "noop"), task("b", "noop", dependencies=["a"])]
        await engine.creator.create_task_tree_from_array(tasks)
        report = await engine.creator.create_task_copy("a", dry_run=True)
        assert (report.tree, report.run_again, report.left_out) == (None, ("a", "b"), ())
        assert (await engine.storage.info())["trees"] == 1
        with pytest.raises(InvalidParams, match="task_ids = 'a': must be a list of ids"):
            await engine.creator.create_task_copy("a", copy_mode="custom", task_ids="a")
