"""The plugin as it is installed: its example, and what is kept from one process to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import Program, install

from apflow.testing import host_of
from apflow_cache import Cache

EXAMPLE = Path(__file__).parents[1] / "example.json"

COUNTING = """
from pathlib import Path
from apflow_hookspecs import executor, hookimpl

@executor("counting")
async def counting(file: str) -> int:
    path = Path(file)
    path.write_text(f"{path.read_text() if path.exists() else ''}x")
    return len(path.read_text())

@hookimpl
def apflow_executors():
    yield counting
"""


@pytest.fixture
def apflow(tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install(plugins, "counting", counting=COUNTING)
    return Program(tmp_path, plugins)


def by_key(done):
    assert done.code == 0, done.err
    return {task["key"]: task for task in done.json["tasks"]}


def test_the_example_runs_and_asks_the_kernel_once(apflow):
    first, second = (by_key(apflow("run", EXAMPLE, "--json", APFLOW_BLOCK="")) for _ in range(2))
    assert {task["status"] for tasks in (first, second) for task in tasks.values()} == {"completed"}
    assert first["kernel"]["result"] == first["kernel_again"]["result"] == second["kernel"]["result"]
    assert first["memory"]["result"] == second["memory"]["result"]


def test_a_result_outlives_the_process_and_ends_with_the_version_of_the_plugin_that_made_it(apflow):
    tasks = apflow.file([{"executor": "counting", "name": "t", "inputs": {"file": "count"}, "policies": {"cache": {}}}])

    def result():
        return by_key(apflow("run", tasks, "--json"))["t"]["result"]

    assert [result(), result()] == [1, 1]
    (metadata,) = apflow.plugins.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    assert [result(), result()] == [2, 2]


def test_it_joins_in_at_the_start_and_nowhere_else():
    (plugin,) = [plugin for plugin in host_of(plugins={"cache": Cache()}).plugins if plugin.name == "cache"]
    assert set(plugin.hooks) == {"apflow_policies", "apflow_startup"}
