"""The host alone: it starts, explains itself, and says which plugin is missing."""

from __future__ import annotations

import importlib.util
import json

import apflow as host

COMMAND = json.dumps([{"executor": "command_executor", "inputs": {"command": ["true"]}}])


def said(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_no_plugin_is_installed():
    assert not [name for name in ("apflow_sqlite", "apflow_stdio", "apflow_aggregate") if importlib.util.find_spec(name)]


def test_help_works(apflow):
    done = apflow("--help")
    assert done.code == 0, done.err
    assert {"run", "tasks", "plugins", "executors", "db", "config"} <= set(done.out.split())


def test_the_version_is_told(apflow):
    assert "1.0.0.dev1" in apflow("--version").out


def test_a_run_without_a_storage_names_the_plugin_that_provides_it(apflow):
    done = apflow("run", "-", "--db", "flow.db", stdin=COMMAND)
    assert done.code not in {0, 1}
    assert len(said(done.err)) == 1
    assert "apflow-sqlite" in done.err


def test_a_run_without_the_executor_names_the_plugin_that_provides_it(apflow):
    done = apflow("run", "-", "--db", "memory:", stdin=COMMAND)
    assert done.code == 2
    assert len(said(done.err)) == 1
    assert "command_executor" in done.err
    assert "apflow-stdio" in done.err


def test_an_unknown_executor_is_not_said_to_be_provided_by_anything(apflow):
    done = apflow("run", "-", "--db", "memory:", stdin=json.dumps([{"executor": "nobodys"}]))
    assert done.code == 2
    assert "nobodys" in done.err
    assert "apflow-stdio" not in done.err


def test_the_plugins_are_the_hosts_own(apflow):
    plugins = json.loads(apflow("plugins", "list", "--json").out)["plugins"]
    assert {plugin["name"] for plugin in plugins} == {"memory", "validators"}
    assert {plugin["distribution"] for plugin in plugins} == {"apflow"}


def test_there_are_no_executors(apflow):
    assert json.loads(apflow("executors", "list", "--json").out) == {"executors": []}


def test_a_tree_of_groups_is_refused_for_it_holds_no_work(apflow):
    done = apflow("run", "-", "--db", "memory:", stdin=json.dumps([{"id": "all"}]))
    assert done.code == 2
    assert "task 'all'" in done.err


async def test_the_engine_opens_in_memory():
    async with host.open_engine("memory:") as engine:
        assert not engine.executors
        assert await engine.storage.open_trees() == []
