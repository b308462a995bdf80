"""What the history of a task tells: every attempt with what went in, what came out, and who ran it."""

from __future__ import annotations

from samples import Work, add, boom, echo, group, task

from apflow.testing import engine_of
from apflow_hookspecs import Caller, Policy, Retry, TaskContext, executor, hookimpl

from .conftest import PAIR

LOCAL = Caller.local()


async def test_inputs_are_told_as_they_were_resolved():
    async with engine_of(add, echo) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "add", a=1), task("b", "add", b={"$from": "a"}, dependencies=["a"], a=7)]
        )
        await engine.manager.distribute_task_tree(tree)
        (attempt,) = (await engine.call("tasks.history", {"task_id": "b"}, LOCAL))["attempts"]

    assert attempt["inputs"] == {"a": 7, "b": 2}
    assert (attempt["run"], attempt["attempt"], attempt["outcome"], attempt["result"]) == (1, 1, "completed", 9)
    assert attempt["plugin"] == "handed"
    assert attempt["started_at"] <= attempt["ended_at"]


async def test_inputs_that_a_hook_changed_are_told_as_it_left_them():
    class Before:
        @hookimpl
        def apflow_before_execute(self, inputs):
            return {"value": "changed"}

    async with engine_of(echo, plugins={"before": Before()}) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "echo", value=1)])
        await engine.manager.distribute_task_tree(tree)
        (attempt,) = (await engine.call("tasks.history", ["root"], LOCAL))["attempts"]

    assert attempt["inputs"] == {"value": "changed"}


async def test_every_attempt_is_told_oldest_first():
    @executor("flaky")
    async def flaky(context: TaskContext):
        if context.attempt < 3:
            raise ConnectionError(f"try {context.attempt}")
        return "there"

    async def around(call_next, context, options):
        try:
            return await call_next()
        except ConnectionError as error:
            raise Retry(context.attempt / 100) from error

    async with engine_of(flaky, policies=[Policy("patient", around)]) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "flaky", policies={"patient": {}})])
        await engine.manager.distribute_task_tree(tree)
        attempts = (await engine.call("tasks.history", ["root"], LOCAL))["attempts"]

    assert [(a["attempt"], a["outcome"], a["error"] and a["error"]["message"], a["result"]) for a in attempts] == [
        (1, "retried", "ConnectionError: try 1", None),
        (2, "retried", "ConnectionError: try 2", None),
        (3, "completed", None, "there"),
    ]
    assert [a["error"]["retry_after"] for a in attempts[:2]] == [0.01, 0.02]


async def test_what_never_started_has_no_attempts():
    async with engine_of(boom, add) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "boom"), task("b", "add", a=1, dependencies=["a"])]
        )
        await engine.manager.distribute_task_tree(tree)

        for task_id in ("root", "b"):
            assert (await engine.call("tasks.history", [task_id], LOCAL))["attempts"] == []


async def test_a_part_that_was_not_there_leaves_the_inputs_untold():
    async with engine_of(add, echo) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "add", a=1), task("b", "echo", value={"$from": "a", "path": "/x"})]
        )
        await engine.manager.distribute_task_tree(tree)
        (attempt,) = (await engine.call("tasks.history", ["b"], LOCAL))["attempts"]

    assert attempt["inputs"] is None
    assert attempt["error"]["code"] == "reference_missing"


async def test_a_tree_that_was_created_to_be_run_tells_its_plugins_too(call):
    await call("tasks.execute", {"tasks": PAIR, "wait": 60})
    (attempt,) = (await call("tasks.history", {"task_id": "leaf"}))["attempts"]
    assert attempt["plugin"] == "doors"


async def test_of_a_group_what_all_under_it_came_to_is_told():
    @executor("takes")
    async def takes(context: TaskContext, g=None):
        return g

    async with engine_of(echo, takes) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [
                group("root"),
                group("g", parent_id="root"),
                group("h", parent_id="g"),
                task("x", "echo", "h", value=1),
                task("y", "echo", "g", value=2),
                task("t", "takes", dependencies=["g"]),
            ]
        )
        done = await engine.manager.distribute_task_tree(tree)
        (attempt,) = (await engine.call("tasks.history", ["t"], LOCAL))["attempts"]

    assert attempt["inputs"] == {"g": done.tasks["t"].result} == {"g": {"h": {"x": 1}, "y": 2}}


async def told_inputs(engine, task_id):
    return [attempt["inputs"] for attempt in (await engine.call("tasks.history", [task_id], LOCAL))["attempts"]]


async def test_a_tree_out_of_which_tasks_were_deleted_tells_the_inputs_of_the_others():
    async with engine_of(echo) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("gone", "echo"), task("a", "echo", value=1), task("b", "echo", value={"$from": "a"})]
        )
        await engine.editor.delete("gone")
        await engine.manager.distribute_task_tree(tree)
        assert await told_inputs(engine, "b") == [{"value": 1}]


async def test_what_had_not_run_in_an_earlier_run_is_not_in_the_inputs_of_that_one():
    work = Work({"a"})
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [
                group("root"),
                task("a", "work"),
                task("b", "work", dependencies=["a"]),
                task("c", "work", dependencies=[{"id": "b", "required": False}], value={"$from": "b"}),
            ]
        )
        await engine.manager.distribute_task_tree(tree)
        work.failing.clear()
        await engine.manager.distribute_task_tree(tree)
        assert await told_inputs(engine, "c") == [{"value": None}, {"value": "b"}]
