"""A back-off outlives the process: the program is killed, and another one goes on."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from programs import Program, Running, install

EXAMPLE = Path(__file__).parents[1] / "example.json"
SECOND = 2.125
"""Seconds of the second back-off: long enough to be killed in."""
THIRD_TIME = f"""
from apflow_hookspecs import TaskContext, TaskFailed, executor, hookimpl


@executor("third_time")
async def third_time(context: TaskContext) -> int:
    with open("calls", "a") as calls:
        calls.write(f"{{context.attempt}}\\n")
    if context.attempt < 3:
        raise TaskFailed("busy", error="rate_limited", retry_after={SECOND} if context.attempt == 2 else None)
    return context.attempt


@hookimpl
def apflow_executors():
    yield third_time
"""


@pytest.fixture
def apflow(tmp_path):
    (tmp_path / "plugins").mkdir()
    install(tmp_path / "plugins", "third", third_time=THIRD_TIME)
    return Program(tmp_path, tmp_path / "plugins")


def started(apflow, *arguments):
    return closing(Running(apflow.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)))


def seconds_between(earlier, later):
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_killed_during_the_second_back_off_it_goes_on_at_the_third_attempt(apflow):
    task = {"id": "only", "executor": "third_time", "policies": {"retry": {"delay": 0.1, "max_attempts": 3}}}
    with started(apflow, "run", "--keep-ids", apflow.file([task])) as running:
        running.until("only started")
        with started(apflow, "tasks", "watch", "only", "--json") as watching:
            watching.until(str(SECOND))
            running.send(signal.SIGKILL)
            running.finish()
    left = apflow("tasks", "get", "only", "--json").json
    assert (left["status"], left["attempt"], left["wait"]["kind"]) == ("waiting", 2, "retry")

    resumed = apflow("resume", "--json")
    assert resumed.code == 0, resumed.err
    ((only,),) = [tree["tasks"] for tree in resumed.json["trees"]]
    assert (only["status"], only["result"], only["attempt"], only["recoveries"]) == ("completed", 3, 3, 0)
    assert (apflow.folder / "calls").read_text().split() == ["1", "2", "3"]
    history = apflow("tasks", "history", "only", "--json").json["attempts"]
    assert [(each["attempt"], each["outcome"]) for each in history] == [(1, "retried"), (2, "retried"), (3, "completed")]
    assert 0 <= history[0]["error"]["retry_after"] <= 0.1
    assert history[1]["error"]["retry_after"] == SECOND
    assert seconds_between(history[1]["ended_at"], history[2]["started_at"]) >= SECOND - 0.01


def test_the_example_is_fetched_the_third_time(apflow):
    done = apflow("run", str(EXAMPLE), "--json")
    assert done.code == 0, done.err
    tasks = {task["key"]: task for task in done.json["tasks"]}
    assert (tasks["fetch"]["attempt"], tasks["say"]["attempt"]) == (3, 1)
    assert tasks["say"]["result"]["stdout"] == "fetched"


def test_the_readme_shows_the_example():
    readme = (EXAMPLE.parent / "README.md").read_text(encoding="utf-8")
    assert json.loads(readme.partition("```json\n")[2].partition("```")[0]) == json.loads(EXAMPLE.read_text())
