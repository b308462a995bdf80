"""The trees of `examples/`, run by the program on its default storage."""

from __future__ import annotations

import json
import platform
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def by_key(tree: dict) -> dict[str, dict]:
    return {task["key"]: task for task in tree["tasks"]}


def test_the_system_report_completes(apflow):
    done = apflow("run", EXAMPLES / "system_report.json", "--json")
    assert done.code == 0, done.err
    assert done.json["status"] == "completed"
    assert done.json["progress"] == 1
    assert [task["key"] for task in done.json["tasks"]] == ["report", "cpu", "memory", "disk", "kernel", "summary", "say"]
    assert {task["status"] for task in done.json["tasks"]} == {"completed"}


def test_the_system_report_passes_results_on(apflow):
    tasks = by_key(apflow("run", EXAMPLES / "system_report.json", "--json").json)
    kernel = tasks["kernel"]["result"]["stdout"]
    assert platform.node() in kernel
    assert set(tasks["summary"]["result"]["results"]) == {"cpu", "memory", "disk", "kernel"}
    assert tasks["summary"]["result"]["results"]["cpu"] == tasks["cpu"]["result"]
    assert tasks["say"]["result"]["stdout"].strip() == kernel.strip()


def test_what_depends_on_nothing_starts_before_what_gathers(apflow):
    tasks = by_key(apflow("run", EXAMPLES / "system_report.json", "--json").json)
    gathered = [tasks[key] for key in ("cpu", "memory", "disk", "kernel")]
    assert max(task["completed_at"] for task in gathered) <= tasks["summary"]["started_at"]
    assert tasks["summary"]["completed_at"] <= tasks["say"]["started_at"]


def test_a_file_may_run_twice_on_one_storage(apflow):
    first, second = (apflow("run", EXAMPLES / "system_report.json", "--json").json for _ in range(2))
    assert first["id"] != second["id"]
    assert apflow("tasks", "count", "--json").json["counts"] == {"completed": 14}


def test_the_settled_tree_is_in_an_sqlite_file(apflow):
    apflow("run", EXAMPLES / "system_report.json", "--db", "mine.db", "--json")
    with closing(sqlite3.connect(apflow.folder / "mine.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert apflow("tasks", "count", "--db", "mine.db", "--json").json["counts"] == {"completed": 7}


def test_a_dry_run_stores_nothing(apflow):
    done = apflow("run", EXAMPLES / "system_report.json", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.json["valid"]
    assert done.json["plan"]["tasks"] == 7
    assert apflow("tasks", "count", "--json").json["total"] == 0


def test_a_tree_of_the_earlier_system_runs_as_it_is(apflow):
    done = apflow("run", EXAMPLES / "legacy_tree.json", "--json")
    assert done.code == 0, done.err
    tasks = by_key(done.json)
    assert {task["status"] for task in tasks.values()} == {"completed"}
    assert {key: task["executor"] for key, task in tasks.items()} == {
        "inventory": "aggregate_results_executor",
        "processor": "system_info_executor",
        "memory": "system_info_executor",
        "greeting": "command_executor",
    }
    assert tasks["greeting"]["result"]["stdout"] == "inventory taken"
    assert tasks["inventory"]["result"]["result_count"] == 3


def test_a_field_that_only_the_earlier_system_knew_is_told_of(apflow):
    found = apflow("tasks", "validate", EXAMPLES / "legacy_tree.json", "--json").json
    assert found["valid"]
    assert {"has_children", "schemas.type", "dependencies.type"} <= {warning["field"] for warning in found["warnings"]}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_every_example_is_named_in_the_readme(file):
    assert f"[`{file.name}`]({file.name})" in (EXAMPLES / "README.md").read_text()


def test_a_failing_command_fails_the_run_and_skips_what_needs_it(apflow):
    tree = [
        {"id": "all"},
        {"id": "broken", "parent_id": "all", "executor": "command_executor", "inputs": {"command": ["false"]}},
        {
            "id": "after",
            "parent_id": "all",
            "executor": "command_executor",
            "inputs": {"command": ["true"]},
            "dependencies": ["broken"],
        },
    ]
    (apflow.folder / "tree.json").write_text(json.dumps(tree))
    done = apflow("run", "tree.json", "--json")
    tasks = by_key(done.json)
    assert done.code == 1
    assert {key: task["status"] for key, task in tasks.items()} == {"all": "failed", "broken": "failed", "after": "skipped"}
    assert tasks["after"]["error"]["code"] == "dependency_failed"
    assert "broken" in json.dumps(tasks["after"]["error"]["details"])
