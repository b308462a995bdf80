"""Attempts: resolved inputs and results are held to their schemas."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from apflow import open_engine
from apflow_hookspecs import hookimpl
from apflow_hookspecs.errors import InvalidTask
from apflow_jsonschema import COMPILED, JsonSchemas

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COUNT = {"properties": {"count": {"type": "integer"}}}


def after_a(value, schemas, executor="any", **fields):
    """A task that refers to what another one gives, or depends on it."""
    return [
        {"id": "root"},
        {"id": "a", "parent_id": "root", "executor": "give", "inputs": {"value": value}},
        {"id": "t", "parent_id": "root", "executor": executor, "schemas": schemas, **fields},
    ]


def referring(value, schema, executor="any"):
    return after_a(value, {"input_schema": schema}, executor, inputs={"count": {"$from": "a"}})


async def test_resolved_inputs_that_fit_are_left_as_they_are(run):
    done = await run(referring(3, COUNT))
    assert done.tasks["t"].result == {"count": 3}


@pytest.mark.parametrize("executor", ["any", "take"])
async def test_resolved_inputs_that_do_not_fit_fail_the_task_and_name_the_place(run, executor):
    error = (await run(referring("many", COUNT, executor))).tasks["t"].error
    assert "input 'count' must be an integer" in error["message"]


async def test_an_executors_own_schema_holds_for_each_attempt(run):
    error = (await run(referring("many", {}, "take"))).tasks["t"].error
    assert "input 'count' must be an integer" in error["message"]


async def test_inputs_that_do_not_fit_are_bad_input(run):
    error = (await run(referring("many", COUNT))).tasks["t"].error
    assert error["code"] == "bad_input"
    assert error["details"] == {"path": "/count", "rule": "must be an integer"}


async def test_the_result_of_a_dependency_is_held_to_the_schema_under_its_key(run):
    schema = {"input_schema": {"required": ["a"], "properties": {"a": {"minimum": 5}}}}
    assert (await run(after_a(6, schema, dependencies=["a"]))).tasks["t"].result == {"a": 6}
    error = (await run(after_a(4, schema, dependencies=["a"]))).tasks["t"].error
    assert "input 'a' must be at least 5" in error["message"]


async def test_a_result_that_arrives_by_itself_breaks_no_promise_of_the_executors(run):
    done = await run(after_a("x", {}, "take", inputs={"count": 1}, dependencies=["a"]))
    assert done.tasks["t"].result == {"count": 1, "a": "x"}


async def test_a_result_that_fits_is_stored(run):
    done = await run([{"id": "t", "executor": "any", "inputs": {"count": 1}, "schemas": {"output_schema": COUNT}}])
    assert (done.status, done.root.result) == ("completed", {"count": 1})


@pytest.mark.parametrize("size", [1, 5000])
async def test_a_result_that_does_not_fit_fails_the_task(run, size):
    schema = {"properties": {"a/b": {"items": {"type": "integer"}}}}
    inputs = {"a/b": [*range(size - 1), "x"]}
    done = await run([{"id": "t", "executor": "any", "inputs": inputs, "schemas": {"output_schema": schema}}])
    assert done.root.error == {
        "code": "bad_result",
        "message": f"result 'a/b.{size - 1}' must be an integer",
        "details": {"path": f"/a~1b/{size - 1}", "rule": "must be an integer"},
    }
    assert done.root.result is None


async def test_null_is_a_result_that_is_held_to_the_schema_too(run):
    done = await run([{"id": "t", "executor": "give", "schemas": {"output_schema": {"type": "string"}}}])
    assert done.root.error["message"] == "the result must be text"


async def test_the_output_schema_of_an_executor_describes_only(run):
    assert (await run([{"id": "t", "executor": "take", "inputs": {"count": 1}}])).status == "completed"


class Changing:
    @hookimpl
    def apflow_before_execute(self, inputs):
        return {**inputs, "count": inputs["count"] * 2}

    @hookimpl
    def apflow_after_execute(self, result):
        return {**result, "checked": True}


async def test_what_other_plugins_leave_is_what_is_checked(run):
    schemas = {"input_schema": {"properties": {"count": {"maximum": 5}}}, "output_schema": {"required": ["checked"]}}
    tasks = [{"id": "t", "executor": "any", "inputs": {"count": 2}, "schemas": schemas}]
    beside = {"z": Changing()}
    assert (await run(tasks, plugins=beside)).root.result == {"count": 4, "checked": True}
    tasks[0]["inputs"] = {"count": 3}
    error = (await run(tasks, plugins=beside)).root.error
    assert "input 'count' must be at most 5" in error["message"]


async def test_a_secret_is_not_known_to_the_check_and_a_result_that_looks_like_one_is():
    held = JsonSchemas()
    schema = {"properties": {"word": {"type": "string"}}}
    secret = {"$secret": "word"}

    class Task:
        schemas = {"input_schema": schema}
        inputs = {"word": secret}
        executor = "any"
        dependencies = ()

    assert held.apflow_before_execute(Task, {"word": dict(secret)}) is None
    Task.inputs = {"word": {"$from": "a"}}
    with pytest.raises(Exception, match="input 'word' must be text"):
        held.apflow_before_execute(Task, {"word": dict(secret)})


async def test_each_schema_is_compiled_once_and_no_more_are_kept_than_its_bound(engine):
    held = JsonSchemas()
    async with engine(plugins={"jsonschema": held}) as opened:
        for n in [*range(COMPILED + 10), 0]:
            schemas = {"input_schema": {"minProperties": 0, "maxProperties": n + 1}, "output_schema": True}
            await opened.creator.create_task_tree_from_array([{"executor": "any", "schemas": schemas}])
    info = held._compiled.cache_info()
    assert (info.currsize, info.misses) == (COMPILED, COMPILED + 12)


def test_nothing_heavy_is_loaded_for_tasks_without_schemas():
    program = """
import asyncio, sys
from apflow import run
from apflow.testing import engine_of
from apflow_hookspecs import executor
from apflow_jsonschema import JsonSchemas

@executor("noop")
async def noop(): ...

async def main():
    async with engine_of(noop, plugins={"jsonschema": JsonSchemas()}) as engine:
        tree = await engine.creator.create_task_tree_from_array([{"executor": "noop"}])
        print((await engine.manager.distribute_task_tree(tree)).status, "jsonschema" in sys.modules)

asyncio.run(main())
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.split() == ["completed", "False"]


async def test_the_tree_of_the_readme_runs_and_is_refused_as_the_readme_says():
    (tasks,) = map(json.loads, re.findall(r"```json\n(.*?)```", README, re.DOTALL))
    refusal = re.findall(r"```\n(task .*?)\n```", README)[0]
    async with open_engine("memory:") as engine:
        done = await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(tasks))
        assert (done.status, done.tasks["sum"].result["result_count"]) == ("completed", 2)
        tasks[1]["inputs"]["net"] = "100"
        with pytest.raises(InvalidTask) as refused:
            await engine.creator.create_task_tree_from_array(tasks)
    assert refused.value.message == refusal
