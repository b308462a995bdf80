"""What the program says of tasks that are tried again, and of those that a policy holds back."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import closing

import pytest
from programs import Running

FLAKY = """
import time
from apflow_hookspecs import Policy, Retry, TaskContext, TaskFailed, Wait, executor, hookimpl


@executor("flaky")
async def flaky(context: TaskContext, after: float = 0.0):
    if context.attempt < 3:
        raise Retry(after) from TaskFailed("no route", error="timeout")
    return "there"


async def around(call_next, context, options):
    return Wait.until(time.time_ns() // 1000 + 3_600_000_000)


@hookimpl
def apflow_executors():
    yield flaky


@hookimpl
def apflow_policies():
    yield Policy("held", around)
"""
TIME = r"\d\d:\d\d:\d\d"
MOMENT = rf"\d{{4}}-\d\d-\d\d {TIME}"


@pytest.fixture
def flaky(apflow_with):
    return apflow_with("flaky", flaky=FLAKY)


def tree(**leaf):
    return [{"id": "all"}, {"id": "fetch", "parent_id": "all", "executor": "flaky", **leaf}]


def test_a_run_says_what_failed_and_when_it_is_tried_again_and_the_history_how_long_it_waited(flaky):
    done = flaky("run", flaky.file(tree(inputs={"after": 0.25})), "--keep-ids")
    assert done.code == 0, done.err
    said = [line.partition(" fetch ")[2] for line in done.out.splitlines() if " fetch " in line]
    assert re.fullmatch(rf"failed: no route \(timeout, attempt 1\); tried again at {TIME}", said[1])
    assert re.fullmatch(rf"failed: no route \(timeout, attempt 2\); tried again at {TIME}", said[4])
    assert said[2:4] == ["goes on", "started, attempt 2"]

    _, *rows = flaky("tasks", "history", "fetch").out.splitlines()
    assert [row.split()[:3] for row in rows] == [["1", "1", "retried"], ["1", "2", "retried"], ["1", "3", "completed"]]
    assert [row.endswith("no route (timeout); tried again after 0.25 s") for row in rows] == [True, True, False]
    assert said[1] in flaky("tasks", "watch", "all").out


@pytest.fixture
def waiting(flaky):
    """The program while another one runs a tree of which one task is to be tried again, and another one is held back."""
    held = {"id": "held", "parent_id": "all", "executor": "flaky", "policies": {"held": {}}}
    array = flaky.file([*tree(inputs={"after": 3600}), held])
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with closing(Running(flaky.start("run", array, "--keep-ids", **pipes))) as running:
        running.until("held waits for policy held until")
        running.until("tried again")
        yield flaky
        running.send(signal.SIGINT)
        running.finish()


def test_meanwhile_everything_that_shows_a_task_says_so(waiting):
    fetch, held = (waiting("tasks", "get", key, "--json").json for key in ("fetch", "held"))
    assert fetch["error"] == {"code": "timeout", "message": "no route", "details": None, "retry_after": 3600.0}
    assert (fetch["wait"]["kind"], fetch["wait"]["policy"]) == ("retry", None)
    assert (held["wait"]["kind"], held["wait"]["policy"], held["error"]) == ("until", "held", None)

    shown = dict(line.split(maxsplit=1) for line in waiting("tasks", "get", "fetch").out.splitlines())
    assert '"message":"no route"' in shown["error"]
    assert f'"until":"{fetch["wait"]["until"]}"' in shown["wait"]

    drawn = waiting("tasks", "tree", "all").out.splitlines()
    assert re.fullmatch(rf"├── fetch  failed: no route \(timeout, attempt 1\); tried again at {MOMENT}", drawn[1])
    assert re.fullmatch(rf"└── held  waits for policy held until {MOMENT}", drawn[2])

    explained = [waiting("tasks", "explain", key).out.rstrip() for key in ("fetch", "held")]
    assert explained == [
        f"task 'fetch' waits for its next attempt at {fetch['wait']['until']}; attempt 1 failed: no route",
        f"task 'held' is held back: policy 'held' lets it go on at {held['wait']['until']}",
    ]
