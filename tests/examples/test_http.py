"""`examples/compare-pages`: the two commands that its README tells, with a port that is free."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from programs import Running

from .conftest import EXAMPLES

PORT = "8642"
SERVE, RUN = re.findall(
    r"^    (python3 -m http\.server .*|uv run apflow run compare_pages\.json)$",
    (EXAMPLES / "README.md").read_text(),
    re.MULTILINE,
)


@pytest.fixture
def folder(apflow):
    """A copy of the example, in which the program runs."""
    shutil.copytree(EXAMPLES / "compare-pages", apflow.folder, dirs_exist_ok=True)
    return apflow.folder


@pytest.fixture
def served(folder, environment):
    """The server of the first command, whose port the copy has been told."""
    command = [sys.executable, *shlex.split(SERVE.replace(PORT, "0"))[1:]]
    process = subprocess.Popen(
        command, cwd=folder, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    server = Running(process)
    port = re.search(r"port (\d+)", server.until("Serving HTTP"))[1]
    for name in ("apflow.toml", "compare_pages.json"):
        file = folder / name
        file.write_text(file.read_text().replace(PORT, port))
    yield server
    server.close()


@pytest.fixture
def run(apflow):
    return lambda *arguments: apflow(*shlex.split(RUN)[3:], *arguments)


def test_two_pages_are_fetched_and_compared_and_a_report_is_written(folder, served, run):
    done = run()
    assert done.code == 0, done.err
    lines = (folder / "report.txt").read_text().splitlines()
    assert lines[:2] == ["--- before", "+++ after"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-Monday to Friday: 9 to 17", "+Monday to Friday: 9 to 18"]


def test_pages_that_are_equal_are_told_to_be(folder, served, run):
    shutil.copy(folder / "pages" / "before.txt", folder / "pages" / "after.txt")
    assert run().code == 0
    assert (folder / "report.txt").read_text() == "The pages are equal."


def test_a_page_that_is_missing_fails_the_tree_by_name(folder, served, run):
    (folder / "pages" / "after.txt").unlink()
    done = run("--json")
    tasks = {task["key"]: task for task in done.json["tasks"]}
    assert (done.code, tasks["compare"]["status"]) == (1, "skipped")
    assert tasks["after"]["error"]["message"].endswith("answered 404 Not Found")
    assert not (folder / "report.txt").exists()


def test_without_its_configuration_nothing_on_this_machine_is_reached(folder, served, run):
    (folder / "apflow.toml").unlink()
    done = run()
    assert done.code == 2
    assert "guard.allow" in done.err
