"""`examples/apflow-hello`: a plugin is there once it is installed, and gone when it is blocked."""

from __future__ import annotations

import ast
import json
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HELLO = EXAMPLES / "hello.json"


def executors(program, **environment) -> set[str]:
    return {executor["id"] for executor in program("executors", "list", "--json", **environment).json["executors"]}


def plugin_named(program, name, **environment) -> dict | None:
    plugins = program("plugins", "list", "--json", **environment).json["plugins"]
    return next((plugin for plugin in plugins if plugin["name"] == name), None)


def greeting_of(name: str) -> str:
    return json.dumps([{"name": "greet", "executor": "hello_executor", "inputs": {"name": name}}])


def test_it_is_not_there_before_it_is_installed(apflow):
    assert "hello_executor" not in executors(apflow)
    assert plugin_named(apflow, "hello") is None


def test_installing_it_makes_its_executor_and_its_validator_appear(apflow_with_hello):
    assert "hello_executor" in executors(apflow_with_hello)
    hello = plugin_named(apflow_with_hello, "hello")
    assert hello["distribution"] == "apflow-hello"
    assert {"apflow_executors", "apflow_validate_task"} <= set(hello["hooks"])


def test_its_task_runs(apflow_with_hello):
    done = apflow_with_hello("run", HELLO, "--json")
    assert done.code == 0, done.err
    assert [task["result"] for task in done.json["tasks"]] == [{"text": "Hello Ada!"}]


def test_its_validator_refuses(apflow_with_hello):
    (apflow_with_hello.folder / "nobody.json").write_text(greeting_of(""))
    done = apflow_with_hello("run", "nobody.json")
    assert done.code == 2
    assert "task 'greet', inputs.name = '': somebody has to be greeted" in done.err
    assert apflow_with_hello("tasks", "count", "--json").json["total"] == 0


def test_blocking_it_takes_it_away_and_says_so(apflow_with_hello):
    assert "hello_executor" not in executors(apflow_with_hello, APFLOW_BLOCK="hello")
    assert "blocked" in json.dumps(plugin_named(apflow_with_hello, "hello", APFLOW_BLOCK="hello"))


def test_a_task_for_a_blocked_plugin_is_refused_by_name(apflow_with_hello):
    done = apflow_with_hello("run", HELLO, APFLOW_BLOCK="hello")
    assert done.code == 2
    assert "hello_executor" in done.err
    assert "Traceback" not in done.err


def test_an_input_of_the_wrong_type_is_refused_by_its_name(apflow_with_hello):
    (apflow_with_hello.folder / "list.json").write_text(json.dumps([{"executor": "hello_executor", "inputs": {"name": [1]}}]))
    done = apflow_with_hello("run", "list.json")
    assert done.code == 2
    assert "inputs.name" in done.err


def test_it_is_short():
    tree = ast.parse((EXAMPLES / "apflow-hello" / "apflow_hello.py").read_text())
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    assert len(statements) <= 12


def test_it_needs_the_contract_and_nothing_else():
    tree = ast.parse((EXAMPLES / "apflow-hello" / "apflow_hello.py").read_text())
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {"apflow_hookspecs"}
