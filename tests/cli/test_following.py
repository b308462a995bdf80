import time
from io import StringIO

import pytest
from rich.console import Console

from apflow.cli.following import Lines, labels, told
from apflow.cli.live import LiveTree
from apflow.cli.summary import summary
from apflow_hookspecs import Event

AT = 1_900_000_000_000_000
DAY = 86_400_000_000
NO_ROUTE = {"code": "failed", "message": "no\nroute", "details": None, "retry_after": 5.0}
TOO_SLOW = {"code": "timeout", "message": "too slow", "details": None, "retry_after": 86_400.0}


def event(name, status="in_progress", task_id="a", *, seconds=0, attempt=1, **data):
    at = AT + int(seconds * 1_000_000)
    return Event(
        seq=1, tree_id="t", run=1, task_id=task_id, type=name, status=status, at=at, attempt=attempt, data=data or None
    )


def task(id, parent="t", status="pending", **more):
    return {
        "id": id, "key": id, "name": id, "parent_id": parent, "executor": "x", "status": status, "progress": 0.0, "wait": None,
        "error": None, "run": 1, "started_at": None, "completed_at": None, **more,
    }  # fmt: skip


def tree(*tasks, status="completed"):
    return {"id": "t", "status": status, "run": 1, "tasks": [task("t", None, executor=None), *tasks]}


@pytest.fixture
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("happened", "line"),
    [
        (event("task_started"), "started"),
        (event("task_started", attempt=3), "started, attempt 3"),
        (event("task_progress", progress=0.4, message="half\nway"), r"40% half\nway"),
        (event("task_settled", "completed"), "completed"),
        (event("task_settled", "failed", error={"code": "failed", "message": "no\x1b[2J"}), r"failed: no\x1b[2J"),
        (event("task_settled", "failed", error={"code": "timeout", "message": "no"}), "failed: no (timeout)"),
        (event("task_waiting", "waiting", wait={"kind": "input", "prompt": "Sure?"}), "waits for an answer: Sure?"),
        (event("task_waiting", "waiting", wait={"kind": "retry", "until": None}), "failed (attempt 1); tried again"),
        (
            event("task_waiting", "waiting", wait={"kind": "retry", "until": AT + 5_000_000}, error=NO_ROUTE),
            "failed: no\\nroute (attempt 1); tried again at 17:46:45",
        ),
        (
            event("task_waiting", "waiting", attempt=2, wait={"kind": "retry", "until": AT + DAY}, error=TOO_SLOW),
            "failed: too slow (timeout, attempt 2); tried again at 2030-03-18 17:46:40",
        ),
        (event("task_waiting", "waiting", wait={"kind": "until", "until": AT}), "waits until 17:46:40"),
        (
            event("task_waiting", "waiting", wait={"kind": "until", "until": AT, "policy": "li\x1bmit"}),
            r"waits for policy li\x1bmit until 17:46:40",
        ),
        (
            event("task_waiting", "waiting", wait={"kind": "until", "until": "2031-01-01T00:00:00Z"}),
            "waits until 2031-01-01 00:00:00",
        ),
        (event("task_recovered", "pending"), "starts again: its process was gone"),
        (event("something_new"), "something_new"),
    ],
)
def test_an_event_is_told_as_the_end_of_a_sentence(happened, line, utc):
    assert told(happened) == line


def test_a_line_has_the_local_time_the_name_and_what_happened(utc):
    printed = []
    lines = Lines({"a": "fetch"}, printed.append)
    with lines:
        lines.show(event("task_started"))
        lines.show(event("tree_settled", "completed", task_id=None, seconds=61))
    assert printed == ["17:46:40 fetch started", "17:47:41 tree completed"]


def test_tasks_of_one_name_are_told_apart_by_their_keys():
    assert labels([task("1", name="fetch"), task("2", name="fetch"), task("3", name="p\narse")]) == {
        "1": "fetch (1)",
        "2": "fetch (2)",
        "3": r"p\narse",
    }


def test_the_summary_counts_times_and_gives_the_reason_of_what_did_not_complete():
    start, end = "2031-01-01T00:00:00.000000Z", "2031-01-01T00:00:02.500000Z"
    lines = summary(
        tree(
            task("a", status="failed", error={"code": "timeout", "message": "too slow"}, started_at=start, completed_at=end),
            task("b", status="skipped", error={"code": "dependency_failed", "message": "'a' failed"}, completed_at=end),
            task("c", status="completed", started_at=start, completed_at=end),
            status="failed",
        )
    )
    assert list(lines) == [
        "failed: 4 tasks, 1 pending, 1 completed, 1 failed, 1 skipped in 2.50 s (tree t)",
        "  a failed: too slow (timeout)",
        "  b skipped: 'a' failed",
    ]


def test_the_summary_of_a_tree_that_waits_says_for_what_and_when(utc):
    until = "2031-01-01T00:00:00.000000Z"
    retry, limit = {"kind": "retry", "until": until, "policy": None}, {"kind": "until", "until": until, "policy": "limit"}
    waiting = [
        task("a", status="waiting", wait=retry, error=TOO_SLOW, attempt=2),
        task("b", status="waiting", wait=limit, attempt=1),
    ]
    assert list(summary(tree(*waiting, status="waiting")))[1:] == [
        "  a failed: too slow (timeout, attempt 2); tried again at 2031-01-01 00:00:00",
        "  b waits for policy limit until 2031-01-01 00:00:00",
    ]


def test_the_time_of_a_run_leaves_out_what_earlier_runs_completed():
    early, start, end = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z", "2031-01-01T00:00:12.345Z"
    again = tree(
        task("a", status="completed", started_at=early, completed_at=early),
        task("b", status="completed", started_at=start, completed_at=end, run=2),
    )
    assert " in 12.3 s " in next(summary({**again, "run": 2}))


def drawn(live, height=24):
    console = Console(file=StringIO(), width=80, height=height, force_terminal=False, color_system=None)
    console.print(live)
    return console.file.getvalue().splitlines()


def test_the_live_tree_shows_branches_states_bars_and_reasons():
    live = LiveTree(tree(task("a"), task("b"), task("c"), task("d", "a")))
    live.show(event("task_started"))
    live.show(event("task_progress", progress=0.5, message="[bold]half"))
    live.show(event("task_settled", "completed", "b"))
    live.show(event("task_settled", "failed", "c", error={"code": "failed", "message": "no\x1b[2J"}))
    root, a, d, b, c, whole = drawn(live)
    assert root.startswith("t  ·")
    assert a.startswith("├── a")
    assert "━━━━━━━━ 50%" in a
    assert a.endswith("s  [bold]half")
    assert d.startswith("│   └── d  ·")
    assert b.startswith("├── b  ✓")
    assert c == r"└── c  ✗  failed: no\x1b[2J"
    assert "2/5  1 failed" in whole


def test_a_tree_higher_than_the_screen_shows_what_matters_and_counts_the_rest():
    live = LiveTree(tree(*(task(f"n{n}") for n in range(1000))))
    for n in range(500):
        live.show(event("task_settled", "completed", f"n{n}"))
    live.show(event("task_started", task_id="n777"))
    live.show(event("task_settled", "failed", "n888"))
    lines = drawn(live, height=10)
    assert len(lines) == 8
    text = "\n".join(lines)
    assert "n777" in text
    assert "n888" in text
    assert "… and 995 more" in text
    assert "501/1,001  1 failed" in lines[-1]


def test_a_second_start_begins_the_time_and_progress_anew():
    live = LiveTree(tree(task("a")))
    live.show(event("task_started"))
    live.show(event("task_progress", progress=0.9, message="almost"))
    live.show(event("task_waiting", "waiting", wait={"kind": "retry"}, error=NO_ROUTE))
    assert r"failed: no\nroute (attempt 1); tried again" in drawn(live)[1]
    live.show(event("task_started", attempt=2))
    line = drawn(live)[1]
    assert "90%" not in line
    assert "tried again" not in line
