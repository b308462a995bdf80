"""`apflow tasks validate`, and `apflow run --dry-run`, which prints the same."""

from __future__ import annotations

import pytest


def chain(count: int, parent: str = "all") -> list[dict]:
    return [
        {"id": f"t{n}", "parent_id": parent, "executor": "echo", "dependencies": [f"t{n - 1}"] if n else []}
        for n in range(count)
    ]


WIDE = [{"id": f"w{n}", "parent_id": "all", "executor": "echo"} for n in range(30)]


@pytest.fixture
def validated(apflow):
    """What is printed about an array, by both commands."""

    def validated(tasks, *options):
        file = apflow.file(tasks)
        done, dry = apflow("tasks", "validate", file, *options), apflow("run", file, "--dry-run", "--keep-ids", *options)
        assert dry == done
        assert apflow("tasks", "count", "--json").json["total"] == 0
        return done

    return validated


def test_the_plan_of_a_valid_tree_is_printed_with_its_longest_chain(validated):
    beside = {"id": "beside", "parent_id": "all", "executor": "echo"}
    done = validated([{"id": "all"}, *chain(3), beside])
    assert (done.code, done.err) == (0, "")
    head, *waves = done.out.splitlines()
    assert head == "valid: 5 tasks in 3 waves, the longest chain has 3: t0 → t1 → t2"
    assert waves == ["  1  t0, beside", "  2  t1", "  3  t2"]


def test_a_task_alone_is_no_chain(validated):
    assert validated([{"id": "new", "executor": "echo"}]).out == "valid: 1 task in 1 wave\n  1  new\n"


def test_a_large_plan_is_cut_and_says_so(validated):
    head, *waves = validated([{"id": "all"}, *chain(30), *WIDE]).out.splitlines()
    assert head.endswith("the longest chain has 30: t0 → t1 → t2 → t3 → … 22 more … → t26 → t27 → t28 → t29")
    assert waves[0].endswith("w18 and 11 more tasks")
    assert waves[-2:] == [" 20  t19", "     and 10 more waves; --json shows all"]


def test_keys_are_shown_harmless_and_cut(validated):
    tasks = [{"name": "all"}, {"name": "red\x1b[31m", "parent_id": "all", "executor": "echo"}]
    tasks.append({"name": "n" * 200, "parent_id": "all", "executor": "echo", "dependencies": ["red\x1b[31m"]})
    head = validated(tasks).out.splitlines()[0]
    assert head.endswith(rf"chain has 2: red\x1b[31m → {'n' * 39}…")


def test_every_problem_is_told_on_standard_error_and_the_exit_code_is_2(validated):
    tasks = [{"id": "r"}, *({"id": f"t{n}", "parent_id": "r", "executor": "echo", "priority": 99} for n in range(15))]
    done = validated(tasks)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 15
    assert done.err.startswith("error: task 't0', priority = 99: ")


def test_warnings_are_told_beside_the_plan(validated):
    done = validated([{"id": "a", "executor": "echo", "max_runs": 1}])
    assert (done.code, done.out.splitlines()[0]) == (0, "valid: 1 task in 1 wave")
    assert done.err.startswith("warning: ")
    assert "max_runs" in done.err


def test_for_machines_the_whole_report_is_printed(validated):
    report = validated([{"id": "all"}, *chain(30), *WIDE], "--json").json
    assert report["plan"]["critical_path"] == [f"t{n}" for n in range(30)]
    assert (len(report["plan"]["waves"]), report["plan"]["tasks"]) == (30, 61)
    assert (report["valid"], report["problems"], report["warnings"], report["tree"]) == (True, [], [], None)


def test_fresh_ids_make_keys_of_the_ids_of_the_file(apflow):
    done = apflow("tasks", "validate", apflow.file([{"id": "new", "executor": "echo"}]), "--fresh-ids")
    assert (done.code, done.out) == (0, "valid: 1 task in 1 wave\n  1  new\n")
