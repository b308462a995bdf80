"""Waits outlive the process: the program is killed, and another one goes on."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing
from datetime import datetime

import pytest
from programs import Program, Running

TREE = [
    {"id": "all"},
    {"id": "gate", "parent_id": "all", "executor": "approval_executor", "inputs": {"prompt": "Sure?"}},
    {"id": "nap", "parent_id": "all", "executor": "sleep_executor", "inputs": {"seconds": 1.0}},
    {"id": "after", "parent_id": "all", "executor": "sleep_executor", "inputs": {"seconds": 0}, "dependencies": ["gate"]},
]


@pytest.fixture
def apflow(tmp_path):
    (tmp_path / "plugins").mkdir()
    return Program(tmp_path, tmp_path / "plugins")


def test_questions_and_timers_outlive_a_process_that_is_killed(apflow):
    process = apflow.start(
        "run", "--keep-ids", apflow.file(TREE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    with closing(Running(process)) as running:
        running.until("gate waits for an answer")
        running.until("nap waits until")
        running.send(signal.SIGKILL)
        running.finish()
    asked = apflow("tasks", "get", "nap", "--json").json["wait"]["until"]
    wrong = apflow("tasks", "answer", "gate", "perhaps")
    assert (wrong.code, wrong.err) == (2, "error: task 'gate', answer = 'perhaps': must be one of 'approve', 'reject'\n")
    assert apflow("tasks", "answer", "gate", "approve").out.endswith("`apflow resume all` goes on with it\n")

    resumed = apflow("resume", "--json")
    assert resumed.code == 0
    (tree,) = resumed.json["trees"]
    tasks = {task["key"]: task for task in tree["tasks"]}
    assert {task["status"] for task in tasks.values()} == {"completed"}
    assert tasks["gate"]["result"] == {"answer": "approve", "approved": True}
    assert tasks["nap"]["result"]["slept_until"] == asked
    assert datetime.fromisoformat(tasks["nap"]["result"]["woken_at"]) >= datetime.fromisoformat(asked)
    assert (tasks["gate"]["attempt"], tasks["nap"]["attempt"], tasks["nap"]["recoveries"]) == (1, 1, 0)
