import json
import re

import pytest

from apflow.operations import views
from apflow_hookspecs import Dependency, Event, Problem, Task, TaskStatus, TaskTree, Wait
from apflow_hookspecs.errors import TooLarge

MOMENT = 1_700_000_000_000_042
TEXT = "2023-11-14T22:13:20.000042Z"


def tree_of(*tasks):
    return TaskTree(id=tasks[0].id, tasks={task.key: task for task in tasks}, run=1, status=TaskStatus.IN_PROGRESS)


def task_of(id, n=0, parent=None, **fields):
    return Task(n=n, id=id, key=id, name=id, tree_id="root", parent_id=parent, **fields)


def test_a_task_has_the_fields_of_the_protocol_in_their_order():
    view = views.task_view(task_of("root"))
    assert list(view) == [
        "id", "key", "name", "parent_id", "tree_id", "user_id", "executor", "inputs", "params", "policies", "schemas",
        "dependencies", "priority", "timeout", "on_crash", "labels", "status", "wait", "progress", "result", "error", "run",
        "attempt", "recoveries", "created_at", "updated_at", "started_at", "completed_at", "original_task_id",
    ]  # fmt: skip


def test_a_new_task_is_json_although_its_empty_fields_are_shared_and_read_only():
    view = json.loads(views.encode(views.task_view(task_of("root"))))
    assert view["inputs"] == view["params"] == view["policies"] == view["schemas"] == view["labels"] == {}
    assert (view["status"], view["priority"], view["dependencies"], view["error"]) == ("pending", 2, [], None)


def test_a_view_is_not_the_task_itself():
    task = task_of("root", inputs={"a": 1})
    views.task_view(task)["inputs"]["a"] = 2
    assert task.inputs == {"a": 1}


def test_instants_are_rfc_3339_in_utc_with_microseconds():
    view = views.task_view(task_of("root", created_at=MOMENT, updated_at=MOMENT - 42, completed_at=-1))
    assert view["created_at"] == TEXT
    assert view["updated_at"] == "2023-11-14T22:13:20.000000Z"
    assert view["completed_at"] == "1969-12-31T23:59:59.999999Z"
    assert view["started_at"] is None


def test_dependencies_and_a_wait_are_objects():
    task = task_of(
        "root",
        dependencies=(Dependency("id-1", "fetch"), Dependency("id-2", "extra", required=False)),
        status=TaskStatus.WAITING,
        wait=Wait.for_input("Go on?", {"type": "boolean"}, MOMENT),
    )
    view = views.task_view(task)
    assert view["dependencies"] == [
        {"task_id": "id-1", "key": "fetch", "required": True},
        {"task_id": "id-2", "key": "extra", "required": False},
    ]
    asked = {"kind": "input", "until": TEXT, "prompt": "Go on?", "schema": {"type": "boolean"}, "answer": None}
    assert view["wait"] == {**asked, "policy": None}


def test_the_wait_of_an_event_looks_as_that_of_a_task():
    answered = Wait.for_input("Go on?", None, MOMENT)
    wait = Wait("until", MOMENT, policy="limit", before=answered)
    event = Event(1, "t", 1, "a", "task_waiting", "waiting", MOMENT, data={"wait": wait.as_json()})
    assert views.event_view(event)["data"] == {"wait": views.wait_view(wait)}
    assert views.wait_view(wait)["policy"] == "limit"


def test_a_tree_has_its_tasks_in_the_order_of_creation():
    tree = tree_of(task_of("root"), task_of("b", 1, "root", executor="x", progress=0.5), task_of("a", 2, "root", executor="x"))
    view = views.tree_view(tree)
    assert [task["id"] for task in view["tasks"]] == ["root", "b", "a"]
    assert (view["id"], view["status"], view["progress"], view["run"]) == ("root", "in_progress", 0.25, 1)
    assert "warnings" not in view


def test_warnings_stand_beside_the_tree_as_text():
    view = views.tree_view(tree_of(task_of("root")), [Problem("was dropped", field="max_runs", severity="warning")])
    assert view["warnings"] == ["max_runs = None: was dropped"]


def test_a_nested_root_bears_the_state_of_its_tree():
    tree = tree_of(task_of("root"), task_of("a", 1, "root"), task_of("b", 2, "a"), task_of("c", 3, "root"))
    view = views.nested_view(tree, tree.root)
    assert view["tree"] == {"id": "root", "status": "in_progress", "progress": 0.0, "run": 1}
    assert [child["id"] for child in view["children"]] == ["a", "c"]
    assert [child["id"] for child in view["children"][0]["children"]] == ["b"]
    assert view["children"][1]["children"] == []


def test_a_nested_part_holds_only_what_is_under_it():
    tree = tree_of(task_of("root"), task_of("a", 1, "root"), task_of("b", 2, "a"), task_of("c", 3, "root"))
    view = views.nested_view(tree, tree["a"])
    assert "tree" not in view
    assert [child["id"] for child in view["children"]] == ["b"]


def test_a_group_is_as_far_as_the_working_tasks_under_it_whatever_the_order_of_creation():
    tree = tree_of(
        task_of("root"),
        task_of("deep", 1, "inner", executor="x", progress=0.5),
        task_of("inner", 2, "outer"),
        task_of("under", 3, "works", executor="x"),
        task_of("works", 4, "outer", executor="x", progress=1.0),
        task_of("outer", 5, "root"),
        task_of("beside", 6, "root", executor="x", progress=0.3),
    )
    progress = {"root": 0.45, "outer": 0.5, "inner": 0.5, "deep": 0.5, "works": 1.0, "under": 0.0, "beside": 0.3}
    assert {task["id"]: task["progress"] for task in views.tree_view(tree)["tasks"]} == pytest.approx(progress)
    outer, beside = sorted(views.nested_view(tree, tree.root)["children"], key=lambda child: child["name"], reverse=True)
    assert (outer["progress"], outer["children"][0]["progress"], beside["progress"]) == (0.5, 0.5, 0.3)
    assert views.whole_view(tree, tree["outer"])["progress"] == 0.5
    assert "tree" not in views.whole_view(tree, tree["outer"])


def test_a_completed_group_is_at_one():
    parts = [task_of(f"t{n}", n, "root", executor="x", progress=1.0) for n in range(1, 8)]
    assert views.tree_view(tree_of(task_of("root"), *parts))["tasks"][0]["progress"] == 1.0


def test_the_progress_of_a_group_within_many_is_found_without_recursion():
    tree = tree_of(*chain(100_000), task_of("work", 100_000, "t99999", executor="x", progress=0.25))
    assert {task["progress"] for task in views.tree_view(tree)["tasks"]} == {0.25}


def chain(depth):
    return [task_of("root"), *(task_of(f"t{n}", n, "root" if n == 1 else f"t{n - 1}") for n in range(1, depth))]


def test_the_deepest_nested_tree_can_be_written_and_read():
    tree = tree_of(*chain(views.MAX_NESTING))
    text = views.encode(views.nested_view(tree, tree.root))
    assert text.count(b'"children":[{') == len(tree) - 1
    assert json.loads(text)["id"] == "root"


def test_a_tree_nested_deeper_than_that_is_refused_with_advice():
    tree = tree_of(*chain(views.MAX_NESTING + 1))
    with pytest.raises(TooLarge, match=re.escape("nested deeper than 200 levels; read it level by level with tasks.children")):
        views.nested_view(tree, tree.root)


def test_an_event_is_a_flat_object():
    event = Event(3, "root", 1, "a", "task_settled", TaskStatus.COMPLETED, MOMENT, attempt=1, actor="ada", data={"x": 1})
    view = views.event_view(event)
    assert view == {
        "seq": 3, "tree_id": "root", "run": 1, "task_id": "a", "type": "task_settled", "status": "completed", "at": TEXT,
        "attempt": 1, "actor": "ada", "data": {"x": 1},
    }  # fmt: skip
    assert type(view["status"]) is str
    assert list(view) == list(views.EventView.__annotations__)


def test_a_problem_shows_its_value_shortened_whatever_it_is():
    view = views.problem_view(Problem("must be JSON", task="a", field="inputs.x", value=float("nan"), code=-32005))
    assert view == {
        "message": "task 'a', inputs.x = nan: must be JSON",
        "task": "a", "field": "inputs.x", "value": "nan", "rule": "must be JSON", "code": -32005,
    }  # fmt: skip
    assert len(views.problem_view(Problem("is long", field="x", value="y" * 100_000))["value"]) < 200


def test_json_text_is_one_line_and_pretty_text_is_indented():
    assert views.encode({"a": ["ä", 1.5, None]}) == '{"a":["ä",1.5,null]}'.encode()
    assert views.pretty({"a": [1]}) == b'{\n  "a": [\n    1\n  ]\n}'
