"""`apflow tasks`."""

from __future__ import annotations

import json
import shutil

import pytest
from programs import Program

TREE = [
    {"id": "root", "name": "日本 all", "user_id": "ada"},
    {"id": "a", "parent_id": "root", "executor": "echo", "inputs": {"value": "a"}},
    {
        "id": "b",
        "parent_id": "root",
        "user_id": "ada",
        "executor": "fail",
        "inputs": {"message": "no\nway"},
        "dependencies": ["a"],
    },
    {"id": "c", "parent_id": "b", "executor": "echo", "dependencies": [{"id": "b", "required": False}]},
]
OTHER = [{"id": "other", "executor": "echo"}]


@pytest.fixture(scope="module")
def storage(tmp_path_factory, probe):
    """A folder whose storage holds a tree that ran, and one that has not."""
    program = Program(tmp_path_factory.mktemp("stored"), probe)
    assert program("run", program.file(TREE), "--keep-ids").code == 1
    assert program("tasks", "create", program.file(OTHER)).code == 0
    return program.folder


@pytest.fixture
def stored(apflow, storage):
    shutil.copytree(storage, apflow.folder, dirs_exist_ok=True)
    return apflow


def test_the_list_has_a_line_for_each_tree_newest_first(stored):
    header, *rows = stored("tasks", "list").out.splitlines()
    assert header.split() == ["ID", "STATUS", "NAME", "EXECUTOR", "USER", "CREATED"]
    assert [row.split()[:3] for row in rows] == [["other", "pending", "other"], ["root", "failed", "日本"]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], {"root", "other"}),
        (["--all"], {"root", "a", "b", "c", "other"}),
        (["--status", "failed"], {"root"}),
        (["--status", "failed", "--status", "pending"], {"root", "other"}),
        (["--all", "--status", "completed"], {"a", "c"}),
        (["--user", "ada"], {"root"}),
        (["--user", "bob"], set()),
        (["--all", "--name", "a"], {"a"}),
    ],
)
def test_the_list_can_be_filtered(stored, filters, found):
    page = stored("tasks", "list", "--json", *filters).json
    assert {task["id"] for task in page["tasks"]} == found
    assert (page["total"], page["cursor"]) == (len(found), None)


def test_a_long_list_goes_on_where_it_stopped(stored):
    first = stored("tasks", "list", "--all", "--limit", "3", "--json").json
    second = stored("tasks", "list", "--all", "--limit", "3", "--cursor", first["cursor"], "--json").json
    assert len(first["tasks"]) == 3
    assert {task["id"] for task in first["tasks"] + second["tasks"]} == {"root", "a", "b", "c", "other"}
    told = stored("tasks", "list", "--all", "--limit", "3")
    assert told.err == f"3 of 5 tasks; --cursor {first['cursor']} goes on\n"


def test_counts_are_by_status(stored):
    assert stored("tasks", "count").out.split() == ["pending", "1", "completed", "2", "failed", "2", "total", "5"]
    assert stored("tasks", "count", "--json", "--root-only").json == {"total": 2, "counts": {"failed": 1, "pending": 1}}


def test_one_task_is_shown_with_all_that_is_set(stored):
    done = stored("tasks", "get", "b")
    shown = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert (shown["status"], shown["dependencies"], shown["user_id"]) == ("failed", "a", "ada")
    assert json.loads(shown["error"])["message"] == "no\nway"
    assert "result" not in shown
    assert stored("tasks", "get", "b", "--json").json["error"]["code"] == "failed"


def test_a_tree_is_drawn_with_its_branches(stored):
    assert stored("tasks", "tree", "root").out.splitlines() == [
        "日本 all  failed" + stored("tasks", "tree", "root").out.splitlines()[0].removeprefix("日本 all  failed"),
        "├── a  completed",
        r"└── b  failed: no\nway",
        "    └── c  completed",
    ]
    assert stored("tasks", "tree", "b").out.splitlines() == [r"b  failed: no\nway", "└── c  completed"]
    nested = stored("tasks", "tree", "root", "--json").json
    assert [child["id"] for child in nested["children"]] == ["a", "b"]


def test_a_tree_deeper_than_json_may_be_is_drawn_all_the_same(apflow):
    tasks = [{"id": "t0", "executor": "echo"}]
    tasks += [{"id": f"t{n}", "parent_id": f"t{n - 1}", "executor": "echo"} for n in range(1, 400)]
    assert apflow("tasks", "create", apflow.file(tasks)).code == 0
    assert len(apflow("tasks", "tree", "t0").out.splitlines()) == 400


def test_children_are_those_directly_under_a_task(stored):
    assert [task["id"] for task in stored("tasks", "children", "root", "--json").json["tasks"]] == ["a", "b"]
    assert [line.split()[0] for line in stored("tasks", "children", "root").out.splitlines()] == ["ID", "a", "b"]


def test_create_stores_and_execute_runs(stored):
    done = stored("tasks", "execute", "other")
    assert done.code == 0
    assert "other started" in done.out
    assert "completed: 1 task, 1 completed" in done.out
    assert stored("tasks", "get", "other", "--json").json["tree"]["status"] == "completed"


def test_what_may_not_be_executed_is_refused(stored):
    assert stored("tasks", "execute", "other").code == 0
    done = stored("tasks", "execute", "other")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: tree 'other' has completed; copy it, or ask for rerun")


def test_create_can_run_the_tree_too(apflow):
    done = apflow("tasks", "create", "-", "--execute", "--json", stdin=json.dumps(OTHER))
    assert (done.code, done.json["status"]) == (0, "completed")


def test_create_keeps_the_ids_unless_told_otherwise(stored):
    again = stored("tasks", "create", stored.file(OTHER))
    assert again.code == 2
    assert "'other'" in again.err
    fresh = stored("tasks", "create", stored.file(OTHER), "--fresh-ids", "--json").json
    assert fresh["id"] != "other"
    assert fresh["tasks"][0]["key"] == "other"


def test_what_has_not_started_can_be_cancelled(stored):
    done = stored("tasks", "cancel", "other")
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [["other", "cancelled"]]
    assert stored("tasks", "get", "other", "--json").json["status"] == "cancelled"


def test_a_tree_is_deleted_as_a_whole(stored):
    assert stored("tasks", "delete", "root").out == "deleted: 4 tasks\n"
    gone = stored("tasks", "get", "root")
    assert gone.code == 2
    assert "root" in gone.err
    assert stored("tasks", "delete", "other", "--json").json == {"deleted": 1}


def test_watching_a_settled_tree_shows_its_events_and_ends(stored):
    lines = stored("tasks", "watch", "root").out.splitlines()
    assert "tree created" in lines[0]
    assert lines[-1].endswith("tree failed")
    events = [json.loads(line) for line in stored("tasks", "watch", "c", "--json").out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    later = stored("tasks", "watch", "root", "--after", str(len(events) - 2), "--json").out.splitlines()
    assert [json.loads(line) for line in later] == events[-2:]


def test_the_history_has_a_row_for_each_attempt(stored):
    header, row = stored("tasks", "history", "b").out.splitlines()
    assert header.split() == ["RUN", "ATTEMPT", "OUTCOME", "STARTED", "TOOK", "PLUGIN", "CAME", "TO"]
    assert row.split()[:3] == ["1", "1", "failed"]
    assert " s  apflow-probe 1.0  " in row
    assert row.endswith(r"no\nway")
    (attempt,) = stored("tasks", "history", "a", "--json").json["attempts"]
    assert (attempt["outcome"], attempt["inputs"], attempt["result"]) == ("completed", {"value": "a"}, ["a"])
    assert stored("tasks", "history", "a").out.splitlines()[1].endswith('["a"]')
    assert len(stored("tasks", "history", "other").out.splitlines()) == 1


@pytest.mark.parametrize("command", ["get", "tree", "children", "execute", "cancel", "delete", "watch", "history"])
def test_a_task_that_is_not_there_is_one_line(apflow, command):
    done = apflow("tasks", command, "no\x1b[2Jthing")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert "\x1b" not in line


def test_watching_a_tree_that_nobody_runs_does_not_wait_for_ever(stored):
    done = stored("tasks", "watch", "other")
    assert (done.code, done.err) == (0, "the tree is pending, and not being run\n")
    assert done.out.endswith("tree created\n")
