"""`apflow tasks update`, `delete`, `archive`, `purge` and `execute` of what has run."""

from __future__ import annotations

import pytest

TREE = [
    {"id": "root"},
    {"id": "a", "parent_id": "root", "executor": "echo", "inputs": {"value": "x"}},
    {"id": "b", "parent_id": "root", "executor": "echo", "dependencies": ["a"]},
    {"id": "c", "parent_id": "root", "executor": "echo"},
]


@pytest.fixture
def stored(apflow):
    assert apflow("tasks", "create", apflow.file(TREE)).code == 0
    return apflow


def test_fields_are_set_as_json_or_as_text(stored):
    given = ["--set", "priority=0", "--set", 'inputs={"value": "y"}', "--set", "on_crash=fail"]
    changed = stored("tasks", "update", "a", "--name", "First", *given)
    assert (changed.code, changed.err) == (0, "")
    assert changed.out.splitlines()[1].split() == ["a", "pending", "First"]
    task = stored("tasks", "get", "a", "--json").json
    assert (task["name"], task["priority"], task["inputs"], task["on_crash"]) == ("First", 0, {"value": "y"}, "fail")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--set", "priority=high"], "error: task 'a', priority = 'high': must be an integer from 0 (urgent) to 9\n"),
        (["--set", "nonsense"], "--set takes FIELD=VALUE, and not 'nonsense'."),
        (["--set", "parent_id=c"], "error: task 'a', parent_id = 'c': stays as it was created\n"),
        ([], "error: task 'a': no field is given that is to change\n"),
        (
            ["--set", 'dependencies=["c"]'],
            "error: task 'b', dependencies = 'a': depends on what was chosen, and was not chosen itself: b → a",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_set_is_refused(stored, arguments, error):
    refused = stored("tasks", "update", "a", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith(error) or error in refused.err


def test_a_change_of_what_a_task_waits_for_takes_its_dependents_along(stored):
    changed = stored("tasks", "update", "a", "--set", 'dependencies=["c"]', "--include-dependents", "--json")
    assert [task["id"] for task in changed.json["tasks"]] == ["a", "b"]


def test_a_part_is_deleted_with_its_dependents_and_named(stored):
    assert stored("tasks", "delete", "a").code == 2
    deleted = stored("tasks", "delete", "a", "--include-dependents")
    assert (deleted.code, deleted.out) == (0, "deleted: 2 tasks: a, b\n")
    assert stored("tasks", "delete", "root").out == "deleted: 2 tasks\n"


def test_an_archived_tree_is_only_copied(stored):
    refused = stored("tasks", "archive", "root")
    assert (refused.code, refused.err) == (2, "error: tree 'root' is pending; only a settled tree can be archived\n")
    assert stored("tasks", "execute", "root").code == 0
    assert stored("tasks", "archive", "root").out == "archived: tree root\n"
    assert ", archived 20" in stored("tasks", "get", "root").out
    assert stored("tasks", "list", "--json").json["tasks"][0]["tree"]["archived_at"].endswith("Z")
    for arguments in (["delete", "root"], ["execute", "root", "--rerun"], ["update", "a", "--name", "x"]):
        refused = stored("tasks", *arguments)
        assert refused.code == 2
        assert "tree 'root' is archived and cannot be" in refused.err
    assert stored("tasks", "copy", "a").code == 0
    assert stored("tasks", "archive", "root", "--undo").out == "taken out of the archive: tree root\n"
    assert stored("tasks", "delete", "root").code == 0


def test_old_trees_are_purged(stored):
    assert stored("tasks", "execute", "root").code == 0
    assert stored("tasks", "purge", "--older-than", "1h").out == "deleted: 0 trees\n"
    assert stored("tasks", "purge", "--older-than", "0s", "--dry-run").out == "would be deleted: 1 tree\n"
    assert stored("tasks", "purge", "--older-than", "0s", "--json").json == {"trees": 1}
    assert stored("tasks", "count", "--json").json["total"] == 0


@pytest.mark.parametrize("age", ["30", "d", "1.5d", "-1d", "1y"])
def test_an_age_is_a_number_with_a_unit(stored, age):
    refused = stored("tasks", "purge", "--older-than", age)
    assert refused.code == 2
    assert f"{age!r} is not a number with one of the units s, m, h, d, w, such as 30d." in refused.err


def test_one_task_of_a_tree_is_executed_and_then_the_rest(stored):
    part = stored("tasks", "execute", "b")
    assert part.code == 0
    assert part.out.splitlines()[-1].startswith("pending: 4 tasks, 1 pending, 1 in progress, 2 completed")
    rest = stored("tasks", "execute", "root")
    assert rest.code == 0
    assert [line.split(maxsplit=1)[1] for line in rest.out.splitlines()[:-1]] == [
        "tree started", "c started", "c completed", "root completed", "tree completed",
    ]  # fmt: skip
    refused = stored("tasks", "execute", "root")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error: tree 'root' has completed; copy it, or ask for rerun to run all of it once more\n"
    again = stored("tasks", "execute", "root", "--rerun", "--json")
    assert (again.code, again.json["run"], again.json["status"]) == (0, 3, "completed")
    outcomes = [(each["run"], each["outcome"]) for each in stored("tasks", "history", "a", "--json").json["attempts"]]
    assert outcomes == [(1, "completed"), (3, "completed")]
