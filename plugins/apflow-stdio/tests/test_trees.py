"""Trees through the engine: the README's, and what the section `[stdio]` changes."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import psutil
import pytest

from apflow import open_engine
from apflow_hookspecs import Caller
from apflow_hookspecs.errors import ApflowError

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
OUTSIDER = Caller("eve", frozenset({"read", "submit", "cancel"}), "remote")
WHO = {"commands": {"who": {"argv": ["echo", "hello {name}"], "remote": True, "parameters": {"name": {"pattern": r"\w+"}}}}}


def example(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[0]


async def run(engine, tasks, **create):
    tree = await engine.creator.create_task_tree_from_array(tasks, **create)
    return await engine.manager.distribute_task_tree(tree)


def command(**inputs):
    return [{"id": "only", "executor": "command_executor", "inputs": inputs}]


async def test_the_tree_of_the_readme_runs():
    async with open_engine("memory:") as engine:
        done = await run(engine, json.loads(example("json")))
    results = {task.key: task.result for task in done}
    assert done.status == "completed"
    assert results["say"]["stdout"] == f"{results['kernel']['stdout']} with {results['memory']['total']}"


async def test_the_configuration_of_the_readme_is_read():
    async with open_engine("memory:", **tomllib.loads(example("toml"))) as engine:
        assert list(engine.executors["command_executor"].options.commands) == ["backup"]


async def test_a_configuration_that_does_not_fit_keeps_the_engine_from_opening():
    with pytest.raises(ApflowError, match="tools/x"):
        async with open_engine("memory:", stdio={"commands": {"x": {"argv": ["tools/x"]}}}):
            pass


async def test_a_failing_command_fails_its_task_and_skips_what_needs_it():
    tasks = [
        {"id": "all"},
        {
            "id": "bad",
            "parent_id": "all",
            "executor": "command_executor",
            "inputs": {"command": ["sh", "-c", "echo why >&2; exit 4"]},
        },
        {
            "id": "next",
            "parent_id": "all",
            "executor": "command_executor",
            "inputs": {"command": "true"},
            "dependencies": ["bad"],
        },
    ]
    async with open_engine("memory:") as engine:
        done = await run(engine, tasks)
    assert {task.key: str(task.status) for task in done} == {"all": "failed", "bad": "failed", "next": "skipped"}
    assert done.tasks["bad"].error == {
        "code": "failed",
        "message": "'sh' ended with return code 4: why",
        "details": {"return_code": 4, "stdout": "", "stderr": "why"},
    }


async def test_a_bad_command_is_refused_when_its_tree_is_created():
    async with open_engine("memory:") as engine:
        with pytest.raises(ApflowError) as refusal:
            await engine.creator.create_task_tree_from_array(command(command="echo a; id", timeout=0))
    assert {problem.field for problem in refusal.value.problems} == {"inputs.command", "inputs.timeout"}


async def test_an_outsider_names_commands_of_the_operators_and_nothing_else():
    async with open_engine("memory:", stdio=WHO) as engine:
        done = await run(engine, command(command={"name": "who", "arguments": {"name": "eve"}}), caller=OUTSIDER)
        with pytest.raises(ApflowError, match="for callers from outside"):
            await engine.creator.create_task_tree_from_array(command(command=["id"]), caller=OUTSIDER)
    assert done.root.result["stdout"] == "hello eve"


async def test_two_engines_in_one_process_have_each_its_own_commands():
    tasks = command(command={"name": "who", "arguments": {"name": "eve"}})
    async with open_engine("memory:", stdio=WHO) as one, open_engine("memory:") as other:
        assert (await run(one, tasks, caller=OUTSIDER)).status == "completed"
        with pytest.raises(ApflowError, match="there is none"):
            await other.creator.create_task_tree_from_array(tasks, caller=OUTSIDER)


FORKING = """
import os, signal, sys
box = os.open(sys.argv[1], os.O_WRONLY)
os.fork()
os.write(box, b"%d " % os.getpid())
os.close(box)
signal.pause()
"""


async def test_cancelling_a_tree_ends_its_processes(mailbox, python):
    async with open_engine("memory:") as engine:
        tree = await engine.creator.create_task_tree_from_array(command(command=[*python(FORKING), str(mailbox.path)]))
        await engine.manager.execute(tree.id)
        pids = await mailbox.numbers()
        await engine.manager.cancel(tree.id)
        done = await engine.manager.wait(tree.id)
        assert (done.root.status, len(pids)) == ("cancelled", 2)
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
