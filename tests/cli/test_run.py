"""`apflow run`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

CHAIN = [
    {"id": "all"},
    {"id": "first", "parent_id": "all", "executor": "echo", "inputs": {"value": "a"}},
    {"id": "then", "parent_id": "all", "executor": "echo", "inputs": {"value": "b"}, "dependencies": ["first"]},
]
FAILING = [
    {"id": "all"},
    {"id": "bad", "name": "bad\x1b[2J", "parent_id": "all", "executor": "fail", "inputs": {"message": "no\nroute \x1b[31m"}},
    {"id": "after", "parent_id": "all", "executor": "echo", "dependencies": ["bad"]},
]


def by_key(tree):
    return {task["key"]: task for task in tree["tasks"]}


def hang(program):
    return [{"id": "waits", "executor": "hang", "inputs": {"started": str(program.folder / "started")}}]


def read_to(process, text):
    assert any(text in line for line in process.stdout), process.stderr.read()


def test_each_event_is_a_line_and_the_end_a_summary(apflow):
    done = apflow("run", apflow.file(CHAIN))
    assert (done.code, done.err) == (0, "")
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in done.out.splitlines()]
    assert (
        lines.index("first started")
        < lines.index("first completed")
        < lines.index("then started")
        < lines.index("then completed")
    )
    assert lines[-2] == "tree completed"
    assert re.fullmatch(r"completed: 3 tasks, 3 completed in \d+\.\d\d s \(tree \S+\)", lines[-1])


def test_json_is_the_settled_tree_and_nothing_else(apflow):
    done = apflow("run", apflow.file(CHAIN), "--json")
    assert (done.code, done.err) == (0, "")
    assert list(done.json) == ["id", "status", "progress", "run", "tasks"]
    assert [(task["key"], task["status"], task["result"]) for task in done.json["tasks"]] == [
        ("all", "completed", None),
        ("first", "completed", ["a"]),
        ("then", "completed", ["b"]),
    ]


def test_a_tree_that_did_not_complete_exits_1_with_every_reason(apflow):
    done = apflow("run", apflow.file(FAILING))
    assert done.code == 1
    assert "\x1b" not in done.out
    assert r"  bad\x1b[2J failed: no\nroute \x1b[31m" in done.out.splitlines()
    skipped = next(line for line in done.out.splitlines() if line.startswith("  after skipped: "))
    assert "bad" in skipped
    assert apflow("tasks", "count", "--json").json["counts"] == {"failed": 2, "skipped": 1}


def test_the_errors_stand_in_the_json_too(apflow):
    done = apflow("run", apflow.file(FAILING), "--json")
    assert done.code == 1
    tasks = by_key(done.json)
    assert tasks["bad"]["error"]["message"] == "no\nroute \x1b[31m"
    assert tasks["after"]["error"]["code"] == "dependency_failed"


def test_standard_input_is_a_file_too(apflow):
    assert apflow("run", "-", "--json", stdin=json.dumps(CHAIN)).json["status"] == "completed"


@pytest.mark.parametrize("arguments", [["--db", "x.db", "run", "tasks.json"], ["run", "tasks.json", "--db", "x.db", "--json"]])
def test_the_storage_may_stand_before_or_after_the_command(apflow, arguments):
    apflow.file(CHAIN)
    assert apflow(*arguments).code == 0
    assert (apflow.folder / "x.db").exists()
    assert not (apflow.folder / "flow.db").exists()


def test_a_file_runs_twice_but_its_own_ids_only_once(apflow):
    file = apflow.file(CHAIN)
    assert [apflow("run", file).code, apflow("run", file).code] == [0, 0]
    kept = apflow("run", file, "--keep-ids", "--json")
    assert kept.json["id"] == "all"
    again = apflow("run", file, "--keep-ids")
    assert again.code == 2
    assert "'all'" in again.err


def test_progress_is_told(apflow):
    done = apflow("run", apflow.file([{"id": "a", "executor": "steps"}]))
    assert done.code == 0
    progress = [line for line in done.out.splitlines() if "50%" in line]
    assert not progress or progress[0].endswith(r"a 50% half\nway")


def test_a_dry_run_prints_the_plan_and_stores_nothing(apflow):
    done = apflow("run", apflow.file(CHAIN), "--dry-run")
    assert done.code == 0
    head, *waves = done.out.splitlines()
    assert head.startswith("valid: 3 tasks in ")
    places = {key: n for n, line in enumerate(waves) for key in ("first", "then") if key in line}
    assert places["first"] < places["then"]
    assert apflow("tasks", "count", "--json").json["total"] == 0


def test_a_dry_run_of_bad_tasks_exits_2_with_every_problem(apflow):
    done = apflow(
        "run", apflow.file([{"id": "a", "executor": "nobodys"}, {"id": "b", "parent_id": "x"}]), "--dry-run", "--json"
    )
    assert done.code == 2
    assert {problem["task"] for problem in done.json["problems"]} >= {"b"}


def test_bad_tasks_are_refused_together_and_nothing_is_stored(apflow):
    tasks = [{"id": "a"}, {"id": "b", "parent_id": "zzz", "executor": "echo"}, {"id": "c", "parent_id": "a", "prio": 1}]
    done = apflow("run", apflow.file(tasks))
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert any("task 'b', parent_id = 'zzz'" in line for line in lines)
    assert any("task 'c'" in line and "prio" in line for line in lines)
    assert apflow("tasks", "count", "--json").json["total"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1,", "error: standard input, line 1, column 4: not JSON: Expecting value"),
        ('[{"id": 1, "id": 2}]', "error: standard input: the key 'id' stands twice in one object"),
    ],
)
def test_what_is_not_json_is_one_line(apflow, text, said):
    done = apflow("run", "-", stdin=text)
    assert (done.code, done.out, done.err.splitlines()) == (2, "", [said])
    assert not (apflow.folder / "flow.db").exists()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ('"inputs": {"x": [1, NaN]}', "inputs.x.1 = nan: nan is not a number that JSON has"),
        ('"priority": 1e999', "priority = inf: must be an integer from 0 (urgent) to 9"),
        ('"timeout": -Infinity', "timeout = -inf: must be a number of seconds above 0, and at most ten years"),
    ],
)
def test_a_number_that_json_has_not_is_told_with_its_task(apflow, task, said):
    done = apflow("run", "-", stdin=f'[{{"id": "a", "executor": "echo", {task}}}]')
    assert (done.code, done.out, done.err.splitlines()) == (2, "", [f"error: task 'a', {said}"])


def test_a_missing_file_is_one_line(apflow):
    assert apflow("run", "gone.json").err == "error: gone.json: there is no such file\n"


def test_the_time_limit_cancels_the_tree(apflow):
    done = apflow("run", apflow.file(hang(apflow)), "--timeout", "0.5")
    assert done.code == 1
    assert done.err == "error: not done within 0.50 s, and cancelled\n"
    assert "cancelled: 1 task, 1 cancelled" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(apflow, number):
    (apflow.folder / "apflow.toml").write_text("drain_timeout = 0.2\n")
    file = apflow.file(hang(apflow))
    with apflow.start("run", file, "--keep-ids", stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        read_to(process, b"waits started")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode().splitlines()) == (
        130,
        [
            "interrupted: 1 task may end within 0.20 s, and nothing more starts; once more ends it at once",
            "tree waits is not finished: `apflow resume waits` goes on with it",
            "error: interrupted",
        ],
    )
    task = apflow("tasks", "get", "waits", "--json").json
    assert (task["status"], task["tree"]["status"], task["recoveries"]) == ("pending", "in_progress", 0)
    assert apflow("db", "check").code == 0


def test_the_second_signal_ends_it_at_once(apflow_with):
    stubborn = (
        "import asyncio\nfrom apflow_hookspecs import executor, hookimpl\n"
        "@executor('stubborn')\nasync def stubborn() -> None:\n"
        "    while True:\n        try:\n            await asyncio.Event().wait()\n"
        "        except asyncio.CancelledError:\n            print('not yet', flush=True)\n"
        "@hookimpl\ndef apflow_executors():\n    yield stubborn\n"
    )
    program = apflow_with("stubborn", stubborn=stubborn)
    (program.folder / "apflow.toml").write_text("drain_timeout = 0\ncancel_grace = 3600\n")
    file = program.file([{"id": "a", "executor": "stubborn"}])
    with program.start("run", file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        read_to(process, b"a started")
        process.send_signal(signal.SIGINT)
        read_to(process, b"not yet")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_the_second_signal_ends_it_though_a_plugin_blocks_everything(apflow_with):
    blocking = (
        "import time\nfrom apflow_hookspecs import executor, hookimpl\n"
        "@executor('blocking')\nasync def blocking() -> None:\n"
        "    print('blocked', flush=True)\n    time.sleep(3600)\n"
        "@hookimpl\ndef apflow_executors():\n    yield blocking\n"
    )
    program = apflow_with("blocking", blocking=blocking)
    file = program.file([{"id": "a", "executor": "blocking"}])
    with program.start("run", file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        read_to(process, b"blocked")
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:  # one that comes while the first is being answered may wait for what blocks
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
        process.communicate()
    assert process.returncode == 130


def test_a_reader_that_goes_away_is_no_error(apflow):
    file = apflow.file(CHAIN)
    with apflow.start("run", file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, err) == (1, b"")


def test_how_many_tasks_run_at_once_can_be_limited(apflow):
    tasks = [{"id": "all"}, *({"id": f"t{n}", "parent_id": "all", "executor": "echo"} for n in range(4))]
    done = apflow("run", apflow.file(tasks), "--max-concurrency", "1", "--json")
    times = sorted((task["started_at"], task["completed_at"]) for task in done.json["tasks"][1:])
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times))


def test_an_unknown_executor_is_refused_by_name(apflow):
    done = apflow("run", apflow.file([{"id": "a", "executor": "ecko"}]))
    assert done.code == 2
    assert "'ecko'" in done.err
    assert "Traceback" not in done.err


def test_a_storage_that_cannot_be_opened_exits_3(apflow):
    (apflow.folder / "broken.db").write_bytes(b"no database at all" * 100)
    done = apflow("run", apflow.file(CHAIN), "--db", "broken.db")
    assert done.code == 3
    assert "broken.db" in done.err
    assert "Traceback" not in done.err


def test_a_scheme_that_no_plugin_has_is_refused(apflow):
    done = apflow("run", apflow.file(CHAIN), "--db", "nowhere://x")
    assert done.code == 2
    assert "nowhere" in done.err
    assert "Traceback" not in done.err


def test_what_is_dropped_from_a_tree_of_the_earlier_system_is_a_warning(apflow):
    done = apflow("run", apflow.file([{"id": "a", "executor": "echo", "has_children": False}]))
    assert done.code == 0
    assert done.err.startswith("warning: ")
    assert "has_children" in done.err


def test_of_more_problems_than_are_listed_that_is_said(apflow):
    tasks = [{"id": "root"}, *({"id": f"t{n}", "parent_id": "root", "executor": "echo", "priority": 99} for n in range(60))]
    lines = apflow("run", apflow.file(tasks)).err.splitlines()
    assert lines[0].startswith("error: more than 20 problems, the first: task 't0', priority = 99")
    assert len(lines) == 21


def test_output_that_cannot_be_written_is_told(apflow):
    with Path("/dev/full").open("w") as full, apflow.start("executors", "list", stdout=full, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"error: the output cannot be written: No space left on device\n")


def test_without_an_output_there_is_none(apflow):
    program = [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"]
    with subprocess.Popen(
        [*program, "-m", "apflow", "executors", "list"], cwd=apflow.folder, stderr=subprocess.PIPE
    ) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
