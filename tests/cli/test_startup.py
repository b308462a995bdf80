"""What starting the program loads, for that is what starting it costs."""

from __future__ import annotations

import subprocess

import pytest

LISTING = ["--help", "tasks --help", "run --help", "--version"]
NOT_FOR_LISTING = {"aiosqlite", "asyncio", "cattrs", "jsonschema", "msgspec", "psutil", "rich", "sqlite3"}
NOT_FOR_A_RUN = {"http.client", "jsonschema", "psutil", "rich", "unittest", "urllib.request", "xml"}


SPY = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); from apflow.cli import main; main()"


def loaded(program, *arguments):
    command = [program.command()[0], "-c", SPY, *arguments]
    done = subprocess.run(command, cwd=program.folder, env=program.environment, capture_output=True, timeout=60, check=True)
    return set(done.stderr.decode().split())


@pytest.mark.parametrize("arguments", LISTING)
def test_help_loads_nothing_that_runs_trees(apflow, arguments):
    modules = loaded(apflow, *arguments.split())
    assert "click" in modules
    assert sorted(modules & NOT_FOR_LISTING) == []


def test_listing_the_commands_imports_none_of_them_nor_their_plugins(apflow):
    modules = loaded(apflow, "--help")
    assert "probe" in modules
    assert not [module for module in modules if module.startswith("apflow.cli.commands") or module == "probe_command"]


def test_a_run_of_one_task_loads_only_what_it_needs(apflow):
    file = apflow.file([{"executor": "echo", "inputs": {"value": "a"}}])
    modules = loaded(apflow, "run", file)
    assert "apflow.manager" in modules
    assert sorted(modules & NOT_FOR_A_RUN) == []
