"""`examples/scheduled`: a stored tree is copied and run once a night, by a scheduler and by the line of a crontab."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from programs import DEADLINE, Running

from .conftest import EXAMPLES

SCHEDULED = EXAMPLES / "scheduled"
CRON_LINE = re.search(r"^0 2-5 \* \* \* (curl .*)$", (SCHEDULED / "README.md").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="session")
def apscheduler(tmp_path_factory):
    """A folder into which APScheduler was installed, as the script asks for it."""
    folder = tmp_path_factory.mktemp("apscheduler")
    (wanted,) = re.findall(r'"(apscheduler[^"]+)"', (SCHEDULED / "nightly.py").read_text())
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder), wanted]
    subprocess.run(install, check=True, timeout=110)
    return folder


@pytest.fixture
def nightly(apscheduler, monkeypatch):
    """The script, as a module."""
    for folder in (apscheduler, SCHEDULED):
        monkeypatch.syspath_prepend(folder)
    return import_module("nightly")


@pytest.fixture
def url(apflow):
    """A server that has the tree."""
    assert apflow("tasks", "create", SCHEDULED / "nightly.json").code == 0
    serving = [sys.executable, "-m", "apflow", "serve", "--port", "0"]
    environment = {**apflow.environment, "APFLOW_DB": str(apflow.folder / "flow.db"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(serving, cwd=apflow.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server = Running(process)
    yield re.search(r"http://[\w.:]+", server.until("serving on"))[0]
    server.close()


def watched(apflow, tree_id):
    """A copy at its end."""
    assert apflow("tasks", "watch", tree_id).code == 0
    return apflow("tasks", "get", tree_id, "--json").json


def test_a_scheduler_copies_and_runs_the_tree_once_a_night(apflow, nightly, url):
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    fired: queue.Queue = queue.Queue()
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(fired.put, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    nightly.schedule(scheduler, IntervalTrigger(seconds=1, start_date=soon), url, "nightly")
    scheduler.start()
    first, second = (fired.get(timeout=DEADLINE) for _ in range(2))
    scheduler.shutdown()
    assert first.exception is None
    assert first.retval == second.retval != "nightly"
    copied = watched(apflow, first.retval)
    assert (copied["status"], copied["original_task_id"]) == ("completed", "nightly")
    assert apflow("tasks", "count", "--json").json["counts"] == {"pending": 4, "completed": 4}


def test_the_line_of_the_crontab_does_the_same(apflow, url):
    # cron itself turns \% into %.
    line = CRON_LINE.replace("http://localhost:8000", url).replace("\\%", "%")
    answers = [subprocess.run(line, shell=True, capture_output=True, check=True, timeout=DEADLINE) for _ in range(2)]  # noqa: S602
    first, second = (json.loads(answer.stdout)["result"]["tree"]["id"] for answer in answers)
    assert first == second != "nightly"
    assert watched(apflow, first)["status"] == "completed"
