"""`apflow tasks copy`."""

from __future__ import annotations

import json
import shutil

import pytest
from programs import Program, install

MARKING = """
from pathlib import Path

from apflow_hookspecs import TaskContext, TaskFailed, executor, hookimpl


@executor("mark")
async def mark(context: TaskContext) -> str:
    key = context.task.key
    with Path("marks.txt").open("a") as marks:
        marks.write(f"{key} ")
    if key == "parse" and not Path("mended").exists():
        raise TaskFailed("not mended")
    return key


@hookimpl
def apflow_executors():
    yield mark
"""
TREE = [
    {"id": "root", "name": "日本 all"},
    {"id": "stage", "parent_id": "root"},
    {"id": "fetch", "parent_id": "stage", "executor": "mark"},
    {"id": "parse", "name": "par\nse", "parent_id": "stage", "executor": "mark", "dependencies": ["fetch"]},
    {"id": "boss", "parent_id": "root", "executor": "mark", "dependencies": ["report"]},
    {"id": "report", "parent_id": "boss", "executor": "mark", "dependencies": ["stage"]},
    {"id": "apart", "parent_id": "boss", "executor": "mark"},
]


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A folder whose storage holds a tree that failed at `parse`, and the plugins that ran it."""
    plugins = tmp_path_factory.mktemp("marking")
    install(plugins, "marking", marking=MARKING)
    program = Program(tmp_path_factory.mktemp("stored"), plugins)
    assert program("run", program.file(TREE), "--keep-ids").code == 1
    (program.folder / "marks.txt").unlink()
    return program


@pytest.fixture
def stored(storage, tmp_path):
    shutil.copytree(storage.folder, tmp_path, dirs_exist_ok=True)
    return Program(tmp_path, storage.plugins)


def marks(program):
    file = program.folder / "marks.txt"
    return file.read_text().split() if file.exists() else []


def test_copying_says_what_runs_again_and_what_was_left_out(stored):
    done = stored("tasks", "copy", "parse")
    told, left_out = done.out.splitlines()
    tree = json.loads(stored("tasks", "list", "--json").out)["tasks"][0]
    assert told == f"copied: 4 tasks (tree {tree['id']}): 1 run again, 1 carried over"
    assert left_out == "2 dependents left out, they never ran; --dependents all includes them"
    assert (done.code, done.err) == (0, "")
    assert marks(stored) == []


def test_a_copy_is_executed_and_runs_only_what_has_to_run(stored):
    tree = stored("tasks", "copy", "parse", "--json").json["tree"]["id"]
    (stored.folder / "mended").touch()
    done = stored("tasks", "execute", tree)
    assert done.code == 0
    assert "completed: 4 tasks, 4 completed in " in done.out
    assert marks(stored) == ["parse"]


def test_with_execute_the_copy_runs_to_its_end(stored):
    (stored.folder / "mended").touch()
    done = stored("tasks", "copy", "parse", "--dependents", "all", "--execute")
    assert done.code == 0
    assert done.out.startswith("copied: 6 tasks (tree ")
    assert "report completed" in done.out
    assert marks(stored) == ["parse", "report", "boss"]


def test_with_execute_the_exit_code_is_that_of_the_run(stored):
    done = stored("tasks", "copy", "parse", "--execute", "--json")
    assert (done.code, done.json["status"], [task["key"] for task in done.json["tasks"]]) == (
        1, "failed", ["root", "stage", "fetch", "parse"],
    )  # fmt: skip
    assert done.err == "2 dependents left out, they never ran; --dependents all includes them\n"


def test_for_machines_the_whole_answer_is_printed(stored):
    copied = stored("tasks", "copy", "parse", "--json").json
    assert (copied["run_again"], copied["carried_over"], copied["left_out"]) == (["parse"], ["fetch"], ["boss", "report"])
    assert copied["tree"]["id"] == copied["ids"]["root"]


def test_a_dry_run_draws_the_copy_and_stores_nothing(stored):
    before = stored("tasks", "count").out
    assert stored("tasks", "copy", "parse", "--dry-run").out.splitlines() == [
        "日本 all",
        "└── stage",
        "    ├── fetch  carried over (completed)",
        r"    └── par\nse  runs again",
        "2 dependents left out, they never ran; --dependents all includes them:",
        "  boss",
        "  report",
    ]
    assert stored("tasks", "copy", "report", "--dry-run", "--dependents", "none").out.splitlines() == [
        "日本 all",
        "├── stage",
        "│   ├── fetch  carried over (completed)",
        r"│   └── par\nse  runs again",
        "└── boss  kept as a group",
        "    └── report  runs again",
        "1 dependent left out; --dependents all includes it:",
        "  boss",
    ]
    assert stored("tasks", "copy", "parse", "--dry-run", "--dependents", "all").out.splitlines()[-2:] == [
        "└── boss  runs again",
        "    └── report  runs again",
    ]
    assert stored("tasks", "count").out == before


def test_a_dry_run_for_machines_is_the_answer_without_a_tree(stored):
    copied = stored("tasks", "copy", "parse", "--dry-run", "--json").json
    assert (copied["tree"], copied["ids"], copied["run_again"]) == (None, {}, ["parse"])


def test_a_copy_that_is_not_saved_is_an_array_to_create(stored):
    done = stored("tasks", "copy", "parse", "--no-save")
    assert [task["key"] for task in done.json] == ["root", "stage", "fetch", "parse"]
    assert done.err == "2 dependents left out, they never ran; --dependents all includes them\n"
    created = stored("tasks", "create", "-", stdin=done.out)
    assert created.out.startswith("created: 4 tasks")
    whole = stored("tasks", "copy", "parse", "--no-save", "--json").json
    assert [task["key"] for task in whole["tasks"]] == ["root", "stage", "fetch", "parse"]


def test_a_custom_copy_takes_ids_with_commas_between_them(stored):
    refused = stored("tasks", "copy", "root", "--copy-mode", "custom", "--task-ids", "fetch,parse")
    assert (refused.code, refused.out) == (2, "")
    assert "error: task 'boss', dependencies = 'report': depends on what was chosen" in refused.err
    assert "boss → report → stage → fetch; include_dependents adds it, allow_partial accepts it" in refused.err
    ids = ("--task-ids", "fetch, parse")
    partial = stored("tasks", "copy", "root", "--copy-mode", "custom", *ids, "--allow-partial")
    assert partial.out.splitlines()[1] == "2 dependents left out; --include-dependents includes them"
    added = stored("tasks", "copy", "root", "--copy-mode", "custom", *ids, "--include-dependents", "--json").json
    assert added["run_again"] == ["fetch", "parse", "boss", "report"]


def test_the_whole_tree_or_all_under_a_task_can_be_copied(stored):
    full = stored("tasks", "copy", "parse", "--copy-mode", "full", "--json").json
    assert (full["run_again"], full["carried_over"]) == (["parse", "boss", "report"], ["fetch", "apart"])
    children = stored("tasks", "copy", "boss", "--children", "--json").json
    assert (children["run_again"], children["carried_over"]) == (["parse", "boss", "report", "apart"], ["fetch"])


def test_overrides_stand_in_the_command_or_in_a_file(stored):
    stored.file({"parse": {"name": "from a file"}}, "overrides.json")
    for given, name in (('{"parse": {"name": "given"}}', "given"), ("@overrides.json", "from a file")):
        tree = stored("tasks", "copy", "parse", "--overrides", given, "--json").json["tree"]
        assert [task["name"] for task in tree["tasks"]][-1] == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "error: there is no task 'nowhere'"),
        (["nowhere", "--dry-run"], "error: there is no task 'nowhere'"),
        (["parse", "--task-ids", "fetch"], "error: task_ids = ['fetch']: belongs to copy_mode = 'custom'"),
        (["parse", "--allow-partial"], "error: allow_partial = True: belongs to copy_mode = 'custom'"),
        (["parse", "--copy-mode", "custom"], "error: copy_mode = 'custom': needs the ids of the tasks"),
        (["parse", "--overrides", "{"], "error: --overrides: not JSON: "),
        (["parse", "--overrides", "[]"], "error: overrides = []: must be an object"),
        (["parse", "--overrides", "@nowhere.json"], "error: nowhere.json: there is no such file"),
        (["parse", "--overrides", '{"fetch": {}}'], "error: task 'fetch', overrides = {}: does not run again in this copy"),
        (["parse", "--execute", "--no-save"], "Error: --execute runs the copy, and --no-save stores none."),
        (["parse", "--execute", "--dry-run"], "Error: --execute runs the copy, and --dry-run stores none."),
    ],
)
def test_what_cannot_be_copied_is_refused(stored, arguments, message):
    done = stored("tasks", "copy", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
