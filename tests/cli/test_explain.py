"""`apflow tasks explain`."""

from __future__ import annotations

import pytest

TREE = [
    {"id": "all"},
    {"id": "first", "parent_id": "all", "executor": "echo"},
    {"id": "second", "parent_id": "all", "executor": "echo"},
    {"id": "last", "parent_id": "all", "executor": "echo", "dependencies": ["first", {"id": "second", "required": False}]},
]


@pytest.fixture
def created(apflow):
    assert apflow("tasks", "create", apflow.file(TREE)).code == 0
    return apflow


def test_the_sentence_comes_first_and_then_a_line_for_each_dependency(created):
    done = created("tasks", "explain", "last")
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head == "task 'last' was not asked to run; `apflow tasks execute last` runs it"
    assert [row.split() for row in rows] == [
        ["ID", "KEY", "STATUS", "REQUIRED"],
        ["first", "first", "pending", "yes"],
        ["second", "second", "pending", "no"],
    ]


def test_a_task_that_waits_for_nothing_is_one_line(created):
    assert created("tasks", "explain", "first").out.count("\n") == 1


def test_for_machines_the_whole_answer_is_printed(created):
    found = created("tasks", "explain", "last", "--json").json
    assert (found["reason"], found["limit"], found["wait"]) == ("not_requested", None, None)
    assert [awaited["task_id"] for awaited in found["waits_for"]] == ["first", "second"]


def test_a_task_that_is_not_there_is_bad_input(apflow):
    done = apflow("tasks", "explain", "nowhere")
    assert (done.code, done.out, done.err) == (2, "", "error: there is no task 'nowhere'\n")
