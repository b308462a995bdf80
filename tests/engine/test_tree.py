import re
from copy import deepcopy
from types import MappingProxyType

import pytest

from apflow.fields import DROPPED, INITIAL
from apflow.plan import Plan
from apflow.references import find
from apflow.tree import build
from apflow.waves import waves
from apflow_hookspecs import EMPTY
from apflow_hookspecs.errors import CircularDependency, InvalidDependency, InvalidParent, InvalidTask, InvalidTree

from .conftest import ROOT, job


def draft(*tasks, **options):
    return build(tasks, now=7, **options)


def tree_of(*tasks, **options):
    made = draft(*tasks, **options)
    assert made.problems == ()
    return made.tree


def problems(*tasks, **options):
    return [(p.task, p.field, p.value, p.rule) for p in draft(*tasks, **options).problems]


def the_problem(*tasks, **options):
    (problem,) = draft(*tasks, **options).problems
    return problem


def needs(tree, key):
    return {(d.key, tree[d.task_id].key, d.required) for d in tree.tasks[key].dependencies}


# The fields


def test_what_is_left_out_has_its_default():
    task = tree_of(job("a", parent=None)).tasks["a"]
    assert (task.n, task.id, task.key, task.name, task.tree_id, task.parent_id) == (0, "a", "a", "a", "a", None)
    assert (task.priority, task.timeout, task.on_crash, task.user_id) == (2, None, None, None)
    assert all(value is EMPTY for value in (task.inputs, task.params, task.policies, task.schemas, task.labels))
    assert (task.status, task.progress, task.result, task.error, task.attempt, task.dependencies) == (
        "pending",
        0,
        None,
        None,
        0,
        (),
    )
    assert (task.created_at, task.updated_at, task.started_at, task.completed_at) == (7, 7, None, None)


def test_null_is_left_out():
    fields = ["key", "name", "parent_id", "user_id", "inputs", "params", "policies", "schemas", "labels", "dependencies",
              "priority", "timeout", "on_crash"]  # fmt: skip
    assert tree_of({"id": "a", "executor": "noop", **dict.fromkeys(fields)}).tasks["a"].priority == 2


def test_what_is_given_is_kept():
    task = tree_of(
        ROOT,
        job(
            "a", name="A task", inputs={"x": [1]}, params={"p": 1}, policies={"retry": {}}, labels={"gpu": True},
            schemas={"input_schema": {"type": "object"}}, priority=0, timeout=5, on_crash="fail", user_id="ada",
        ),
    ).tasks["a"]  # fmt: skip
    assert (task.name, task.inputs, task.params, task.policies) == ("A task", {"x": [1]}, {"p": 1}, {"retry": {}})
    assert (task.labels, task.schemas, task.priority) == ({"gpu": True}, {"input_schema": {"type": "object"}}, 0)
    assert (task.timeout, task.on_crash, task.user_id) == (5.0, "fail", "ada")


@pytest.mark.parametrize(
    ("field", "value", "place", "rule"),
    [
        ("id", "", "id", "must be 1 to 128 of the characters"),
        ("id", "a b", "id", "must be 1 to 128 of the characters"),
        ("id", "x" * 129, "id", "must be 1 to 128 of the characters"),
        ("id", "a\n", "id", "must be 1 to 128 of the characters"),
        ("id", 5, "id", "must be 1 to 128 of the characters"),
        ("key", "", "key", "must have 1 to 255 characters"),
        ("key", 5, "key", "must be text"),
        ("name", "x" * 300, "name", "must have 1 to 255 characters, and has 300"),
        ("name", "", "name", "must have 1 to 255 characters"),
        ("name", ["x"], "name", "must be text"),
        ("name", "a\0", "name", "text must not hold the character NUL"),
        ("name", "\ud800", "name", "text must not hold a lone surrogate"),
        ("parent_id", 5, "parent_id", "must be text"),
        ("user_id", "", "user_id", "must have 1 to 255 characters"),
        ("user_id", 5, "user_id", "must be text"),
        ("executor", 5, "executor", "must be text"),
        ("executor", "", "executor", "must name an executor"),
        ("inputs", [1], "inputs", "must be an object"),
        ("inputs", {"a": [float("nan")]}, "inputs.a.0", "nan is not a number that JSON has"),
        ("inputs", {"a": {"b": b"x"}}, "inputs.a.b", "must be JSON, and is of type builtins.bytes"),
        ("inputs", {5: 1}, "inputs", "the name 5 must be text"),
        ("params", "x", "params", "must be an object"),
        ("params", {"executor_id": 5}, "params.executor_id", "must name an executor"),
        ("policies", ["retry"], "policies", "must be an object"),
        ("schemas", {"input": {}}, "schemas.input", "must be input_schema or output_schema"),
        ("schemas", {"method": ""}, "schemas.method", "must name an executor"),
        ("labels", 3, "labels", "must be an object"),
        ("dependencies", "root", "dependencies", "must be an array"),
        ("dependencies", {"id": "root"}, "dependencies", "must be an array"),
        ("dependencies", [5], "dependencies.0", "must be a task's id or name, or"),
        ("dependencies", ["b", {}], "dependencies.1.id", "must name the task it depends on"),
        ("dependencies", [{"id": 5}], "dependencies.0.id", "must name the task it depends on"),
        ("dependencies", [{"id": "b", "require": True}], "dependencies.0.require", "there is no such field"),
        ("dependencies", [{"id": "b", "required": "yes"}], "dependencies.0.required", "must be true or false"),
        ("priority", -1, "priority", "must be an integer from 0 (urgent) to 9"),
        ("priority", 10, "priority", "must be an integer from 0 (urgent) to 9"),
        ("priority", 1.0, "priority", "must be an integer from 0 (urgent) to 9"),
        ("priority", True, "priority", "must be an integer from 0 (urgent) to 9"),
        ("timeout", 0, "timeout", "must be a number of seconds above 0"),
        ("timeout", float("nan"), "timeout", "must be a number of seconds above 0"),
        ("timeout", float("inf"), "timeout", "must be a number of seconds above 0"),
        ("timeout", "1h", "timeout", "must be a number of seconds above 0"),
        ("timeout", True, "timeout", "must be a number of seconds above 0"),
        ("on_crash", "retry", "on_crash", "must be 'rerun' or 'fail'"),
        ("on_crash", [], "on_crash", "must be 'rerun' or 'fail'"),
        ("status", "completed", "status", "it may only be null or 'pending'"),
        ("progress", 0.5, "progress", "it may only be null or 0"),
        ("progress", False, "progress", "it may only be null or 0"),
        ("result", {}, "result", "it may only be null"),
        ("error", "", "error", "it may only be null"),
        ("attempt", 1, "attempt", "it may only be null or 0"),
        ("started_at", "2024-01-01", "started_at", "it may only be null"),
        ("executer", "noop", "executer", "there is no such field; did you mean 'executor'?"),
        ("zzz", None, "zzz", "there is no such field"),
        (5, 1, "5", "there is no such field"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_is_refused_with_its_place_and_rule(field, value, place, rule):
    found = the_problem(ROOT, {**job("a"), field: value} if field != "id" else job(id=value), job("b"))
    assert found.task in ("#1" if field == "id" else "a", value)
    assert found.field == place
    assert rule in found.rule
    assert found.code == InvalidTask.code


def test_a_problem_shows_the_part_of_the_value_that_is_wrong():
    assert the_problem(ROOT, job("a", inputs={"x": [{"y": 2**70}]})).value == 2**70
    assert the_problem(ROOT, job("a", dependencies=[{"id": "b", "required": 3}]), job("b")).value == 3


def test_a_task_is_called_by_its_key_then_its_id_then_its_name_then_its_place():
    written = [{"key": "k", "id": "i", "name": "n"}, {"id": "i2", "name": "n"}, {"name": "n3"}, {}]
    found = problems(ROOT, *({"parent_id": "root", "executor": "noop", "priority": 99, **names} for names in written))
    assert [task for task, *_ in found] == ["k", "i2", "n3", "#4"]


@pytest.mark.parametrize("entry", [None, 5, "root", ["id"]])
def test_what_is_not_an_object_is_refused_by_its_place(entry):
    assert problems(ROOT, job("a"), entry) == [("#2", "task", entry, "must be an object")]


def test_one_broken_field_gives_no_second_problem():
    # Not "a group cannot have inputs", not "a second root", not "an empty group".
    assert len(problems(ROOT, job("a", executor=5, inputs={"x": 1}))) == 1
    assert len(problems(ROOT, job("a", parent=5))) == 1
    assert len(problems(job("a", parent=5))) == 1


def test_all_that_is_wrong_is_told_together():
    found = problems(
        ROOT,
        {"id": "root", "executor": "noop", "parent_id": "nowhere", "priority": "high"},
        job("a", dependencies=["nobody"], inputs={"x": {"$from": "none"}, "y": float("inf")}, user_id="ada"),
        job("b", dependencies=["c"], nmae="x", user_id="bob"),
        job("c", dependencies=["b"], inputs={"z": {"$from": "gone", "path": "x"}}),
    )
    assert {(task, field) for task, field, *_ in found} == {
        ("root", "id"), ("root", "parent_id"), ("root", "priority"), ("a", "dependencies"), ("a", "inputs.y"),
        ("b", "nmae"), ("b", "user_id"), ("c", "inputs.z"), ("b", "dependencies"),
    }  # fmt: skip


# The author's data


def test_the_authors_array_is_left_as_it_is():
    array = [
        {"id": "root", "status": "pending", "schedule_type": "cron"},
        {
            **job("a", name="A"), "inputs": {"x": {"$from": "B"}, "l": [1]}, "params": {"executor_id": "other", "p": 1},
            "schemas": {"method": "noop", "type": "core"}, "dependencies": [{"name": "B", "type": "result"}],
        },
        job(name="B"),
    ]  # fmt: skip
    before = deepcopy(array)
    tree = tree_of(*array, fresh_ids=True)
    assert array == before
    tree.tasks["a"].inputs["l"].append(2)
    tree.tasks["a"].params["q"] = 2
    assert array == before


def test_any_mapping_is_an_object():
    frozen = MappingProxyType({"id": "a", "executor": "noop", "inputs": MappingProxyType({"x": 1}),
                               "dependencies": ()})  # fmt: skip
    assert tree_of(frozen).tasks["a"].inputs == {"x": 1}


# Keys, names, ids


def test_the_key_is_the_authors_key_else_the_id_else_a_name_that_nothing_else_bears_else_the_id_made():
    tree = tree_of(
        {"id": "root", "name": "top"},
        job("i1", key="k1", name="n1"),
        job("i2", name="n2"),
        job(name="once"),
        job(name="twice"),
        job(name="twice"),
        job(),
        job(name="i2"),
        job("i3", name="shared"),
        job(name="shared"),
    )
    keys = list(tree.tasks)
    assert keys[:4] == ["root", "k1", "i2", "once"]
    for key in keys[4:8] + keys[9:]:
        assert key == tree.tasks[key].id
    assert keys[8] == "i3"
    assert [task.name for task in tree][:6] == ["top", "n1", "n2", "once", "twice", "twice"]
    assert tree.tasks[keys[6]].name == keys[6]


def test_ids_that_are_made_are_uuids_in_the_order_of_creation():
    tree = tree_of({"name": "root"}, *(job(parent="root") for _ in range(50)))
    ids = [task.id for task in tree]
    assert ids == sorted(ids)
    assert len(set(ids)) == 51
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id) for id in ids)


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        ({"id": "a"}, {"id": "a"}, "id"),
        ({"id": "a", "key": "x"}, {"id": "b", "key": "x"}, "key"),
        ({"id": "a"}, {"id": "b", "key": "a"}, "key"),
        ({"id": "b", "key": "a"}, {"id": "a"}, "id"),
        ({"id": "a", "key": "x"}, {"id": "b", "key": "a"}, "key"),
    ],
)
def test_a_word_that_means_two_tasks_is_refused(first, second, field):
    found = the_problem(ROOT, job(**first), job(**second))
    assert (found.field, found.value) == (field, second[field])
    assert found.rule == "another task of the array (#1) has this id or key"


def test_fresh_ids_replace_the_given_ones_which_stay_as_keys():
    array = [
        {"id": "root", "user_id": "ada"},
        job("group", executor=None),
        job("a", parent="group", name="First"),
        job("b", parent="group", key="second", dependencies=["a"]),
        job("c", dependencies=[{"id": "b"}, "group"], inputs={"x": {"$from": "b", "path": "/y"}, "z": [{"$from": "First"}]}),
    ]
    first, second = tree_of(*array, fresh_ids=True), tree_of(*array, fresh_ids=True)
    assert list(first.tasks) == list(second.tasks) == ["root", "group", "a", "second", "c"]
    ids = {task.id for task in first} | {task.id for task in second}
    assert len(ids) == 10
    assert ids.isdisjoint({"root", "group", "a", "b", "c"})
    for tree in (first, second):
        assert tree.id == tree.tasks["root"].id
        assert {task.tree_id for task in tree} == {tree.id}
        assert tree[tree.tasks["a"].parent_id].key == "group"
        assert needs(tree, "second") == {("a", "a", True)}
        assert needs(tree, "c") == {("b", "second", True), ("group", "group", True)}
        # References follow the task as well: they name it by what stays.
        assert tree.tasks["c"].inputs == {"x": {"$from": "second", "path": "/y"}, "z": [{"$from": "a"}]}


# References to tasks


@pytest.mark.parametrize("ref", ["i", "k", "n"])
def test_a_task_is_referred_to_by_id_key_or_name(ref):
    tree = tree_of(
        ROOT,
        job("i", key="k", name="n", executor=None),
        job("child", parent=ref),
        job("after", dependencies=[ref]),
        job("reads", inputs={"x": {"$from": ref}}),
    )
    assert tree.tasks["child"].parent_id == "i"
    assert needs(tree, "after") == {(ref, "k", True)}
    assert [r.key for r in find(tree.tasks["reads"].inputs)] == ["k"]


def test_an_id_goes_before_a_name():
    tree = tree_of(ROOT, job("x", name="one"), job("y", name="x"), job("z", dependencies=["x"]))
    assert needs(tree, "z") == {("x", "x", True)}
    tree = tree_of(ROOT, job("y", name="x"), job("x", name="one"), job("z", dependencies=["x"]))
    assert needs(tree, "z") == {("x", "x", True)}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"parent": "twice"}, "parent_id", InvalidParent.code),
        ({"dependencies": ["twice"]}, "dependencies", InvalidDependency.code),
        ({"inputs": {"x": {"$from": "twice"}}}, "inputs.x", InvalidDependency.code),
    ],
)
def test_a_name_that_several_tasks_bear_refers_to_none(fields, field, code):
    found = the_problem(ROOT, job(name="twice"), job(name="twice"), job("a", **fields))
    assert (found.task, found.field, found.value, found.code) == ("a", field, "twice", code)
    assert found.rule == "several tasks of the array have this name; refer to one by its id"


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"parent": "gone"}, "parent_id", InvalidParent.code),
        ({"parent": ""}, "parent_id", InvalidParent.code),
        ({"dependencies": ["gone"]}, "dependencies", InvalidDependency.code),
        ({"dependencies": [{"id": "gone", "required": False}]}, "dependencies", InvalidDependency.code),
        ({"inputs": {"x": [{"$from": "gone"}]}}, "inputs.x.0", InvalidDependency.code),
    ],
)
def test_a_reference_to_a_task_that_is_not_there_is_refused(fields, field, code):
    found = the_problem(ROOT, job("a", **fields))
    assert (found.task, found.field, found.code) == ("a", field, code)
    assert found.rule == "no task of the array has this id or name"
    assert found.value in ("gone", "")


def test_dependencies_are_texts_or_objects_and_duplicates_merge():
    tree = tree_of(
        ROOT,
        job("a", name="A"),
        job("b"),
        job("c", dependencies=["a", "a", {"name": "A", "required": False}, {"task_id": "b", "key": "b", "required": False}]),
        job("d", dependencies=[{"id": "a", "required": False}, {"name": "A"}]),
        job("e", dependencies=[{"name": "A", "required": False}, {"id": "a", "required": False}]),
    )
    assert needs(tree, "c") == {("a", "a", True), ("b", "b", False)}
    assert needs(tree, "d") == {("a", "a", True)}
    assert needs(tree, "e") == {("A", "a", False)}


def test_a_reference_implies_a_required_dependency_unless_an_optional_one_is_listed():
    made = draft(
        ROOT,
        job("a"),
        job("b", inputs={"x": {"$from": "a"}}),
        job("c", inputs={"x": {"$from": "a"}}, dependencies=[{"id": "a", "required": False}]),
    )
    assert made.plan.dependencies == [{}, {}, {1: True}, {1: False}]
    assert made.tree.tasks["b"].dependencies == ()


def test_a_plan_read_from_the_stored_tree_is_the_plan_that_was_built():
    made = draft(
        ROOT,
        job("g", executor=None),
        job("a", parent="g", name="A"),
        job("b", dependencies=[{"id": "a", "required": False}, {"name": "A"}, "g"]),
        job("c", key="see", inputs={"x": {"$from": "A"}, "y": {"$from": "b"}}, dependencies=[{"id": "b", "required": False}]),
        fresh_ids=True,
    )
    again = Plan.of(made.tree)
    for name in ("parents", "groups", "dependencies", "waits", "under", "required", "optional"):
        assert getattr(again, name) == getattr(made.plan, name), name


@pytest.mark.parametrize("inputs", [{"$from": "a"}, {"$literal": {"x": 1}}])
def test_inputs_as_a_whole_are_no_reference(inputs):
    found = the_problem(ROOT, job("a"), job("b", inputs=inputs))
    assert (found.task, found.field) == ("b", "inputs")


# The shape of a tree


def test_two_roots_are_refused_by_their_names():
    found = the_problem(ROOT, job("a"), job("other", parent=None))
    assert found.code == InvalidTree.code
    assert found.rule == "a tree has one root, and 2 tasks have no parent: 'root', 'other'"


def test_an_island_of_parents_is_refused_with_its_members():
    found = the_problem(ROOT, job("x"), job("a", parent="c"), job("b", parent="a"), job("c", parent="b"))
    assert (found.task, found.field, found.code) == ("a", "parent_id", InvalidTree.code)
    assert found.rule.endswith("cannot be reached from the root: 'a', 'c', 'b'")


def test_a_task_that_is_its_own_parent_is_an_island():
    found = the_problem(ROOT, job("x"), job("a", parent="a"))
    assert found.rule.endswith("cannot be reached from the root: 'a'")


def test_each_island_is_told_once():
    found = problems(ROOT, job("x"), job("a", parent="a"), job("b", parent="c"), job("c", parent="b"), job("d", parent="b"))
    assert [rule.rpartition(": ")[2] for *_, rule in found] == ["'a'", "'b', 'c'"]


def test_without_any_root_there_is_no_tree():
    found = problems(job("a", parent="b"), job("b", parent="a"))
    assert found[0][-1] == "no task is without a parent"


def test_the_order_of_the_array_means_nothing_for_the_shape():
    tree = tree_of(job("leaf", parent="mid", dependencies=["late"]), job("mid", executor=None), ROOT, job("late"))
    assert tree.id == "root"
    assert [task.n for task in tree] == [0, 1, 2, 3]
    assert [task.key for task in tree.children(tree.root)] == ["mid", "late"]


@pytest.mark.parametrize("fields", [{}, {"executor": None}])
def test_an_empty_group_is_refused(fields):
    found = the_problem(ROOT, job("x"), {"id": "g", "parent_id": "root", **fields})
    assert (found.task, found.field, found.value) == ("g", "executor", None)
    assert found.rule == "a task without an executor is a group, and a group must have tasks under it"


def test_a_group_that_holds_only_an_empty_group_is_told_at_the_empty_one():
    assert [task for task, *_ in problems(ROOT, {"id": "g", "parent_id": "root"})] == ["g"]


@pytest.mark.parametrize(("field", "value"), [("inputs", {"x": 1}), ("policies", {"retry": {}}), ("dependencies", ["x"])])
def test_a_group_carries_no_inputs_policies_or_dependencies(field, value):
    found = the_problem(ROOT, job("x"), {"id": "g", "parent_id": "root", field: value}, job("y", parent="g"))
    assert (found.task, found.field, found.value) == ("g", field, value)
    assert found.rule == "a group (no executor) cannot have any"


def test_all_owners_are_one():
    assert tree_of({**ROOT, "user_id": "ada"}, job("a"), job("b", user_id="ada")).user_id == "ada"
    assert {task.user_id for task in tree_of(ROOT, job("a", user_id="ada"))} == {"ada"}
    assert {task.user_id for task in tree_of(ROOT, job("a"), user_id="bob")} == {"bob"}
    found = the_problem(
        ROOT, job("a", user_id="ada"), job("b", user_id="ada"), job("c", user_id="bob"), job("d", user_id="bob")
    )
    assert (found.task, found.field, found.value, found.code) == ("c", "user_id", "bob", InvalidTree.code)
    assert found.rule == "all tasks of a tree have one owner, and 'a' has another"


# The order


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([job("a", dependencies=["a"])], ("a", "dependencies", "a", "a → a")),
        ([job("a", inputs={"x": [{"$from": "a"}]})], ("a", "inputs.x.0", "a", "a → a")),
        (
            [job("a", dependencies=["c"]), job("b", dependencies=["a"]), job("c", dependencies=["b"])],
            ("a", "dependencies", "c", "a → c → b → a"),
        ),
        (
            [job("a", dependencies=[{"name": "Sea", "required": False}]), job("c", name="Sea", inputs={"x": {"$from": "a"}})],
            ("a", "dependencies", "Sea", "a → c → a"),
        ),
        # On a group above; only the task has the dependency.
        ([job("a", dependencies=["root"])], ("a", "dependencies", "root", "a → root → a")),
        ([job("a", inputs={"x": {"$from": "root"}})], ("a", "inputs.x", "root", "a → root → a")),
        (
            [job("g", executor=None), job("h", "g", executor=None), job("a", "h", dependencies=["g"])],
            ("a", "dependencies", "g", "a → g → h → a"),
        ),
        # Through two groups.
        (
            [
                job("g", executor=None), job("h", executor=None),
                job("a", "g", dependencies=["h"]), job("b", "h", dependencies=["g"]),
            ],
            ("a", "dependencies", "h", "a → h → b → g → a"),
        ),
        # Under a task that works.
        (
            [job("g", executor=None), job("p", "g"), job("a", "p", dependencies=["g"])],
            ("a", "dependencies", "g", "a → g → p → a"),
        ),
    ],
)  # fmt: skip
def test_a_circle_is_shown_in_full_in_the_authors_words(tasks, told):
    found = the_problem(ROOT, *tasks, fresh_ids=True)
    assert found.code == CircularDependency.code
    task, field, value, path = told
    assert found.rule.startswith("depends on itself: ")
    shown = found.rule.removeprefix("depends on itself: ").split(" → ")
    expected = path.split(" → ")
    assert (found.task, found.field, found.value, shown) == (task, field, value, expected)


def test_a_long_circle_is_cut_and_says_so():
    tasks = [job(f"t{n}", dependencies=[f"t{(n + 1) % 100}"]) for n in range(100)]
    found = the_problem(ROOT, *tasks)
    assert found.rule.startswith("depends on itself: t0 → t1 → ")
    assert found.rule.endswith("→ t19 → … 80 more … → t0")


def test_what_only_looks_like_a_circle_is_none():
    tree_of(
        ROOT,
        job("parent", dependencies=["child"]),
        job("child", parent="parent"),
        job("g", executor=None),
        job("a", parent="g", dependencies=["b"]),
        job("b", parent="g", dependencies=["parent"]),
        job("after", dependencies=["g", "a"]),
    )


# The earlier system's vocabulary


@pytest.mark.parametrize(
    ("fields", "executor", "params", "schemas"),
    [
        ({"schemas": {"method": "old", "type": "stdio", "model": "m"}}, "old", {}, {}),
        ({"schemas": {"method": "old", "input_schema": {}}}, "old", {}, {"input_schema": {}}),
        ({"params": {"executor_id": "old", "p": 1}}, "old", {"p": 1}, {}),
        ({"params": {"executor_id": "param"}, "schemas": {"method": "schema"}}, "param", {}, {}),
        ({"executor": "new", "params": {"executor_id": "old"}, "schemas": {"method": "old"}}, "new", {}, {}),
        ({"executor": None, "schemas": {"method": "old"}}, "old", {}, {}),
    ],
)
def test_the_executor_may_stand_where_the_earlier_system_had_it(fields, executor, params, schemas):
    task = tree_of({"id": "a", **fields}).tasks["a"]
    assert (task.executor, task.params, task.schemas) == (executor, params, schemas)


def test_a_dependency_may_be_by_name_and_have_a_type():
    made = draft(ROOT, job(name="Get it"), job("b", dependencies=[{"name": "Get it", "type": "result", "required": True}]))
    assert made.problems == ()
    assert needs(made.tree, "b") == {("Get it", "Get it", True)}
    assert [warning.field for warning in made.warnings] == ["dependencies.type"]


def test_engine_fields_are_accepted_at_their_initial_values():
    for name, values in INITIAL.items():
        for value in (None, *values):
            tree_of({**job("a", parent=None), name: value})
    tree_of({**job("a", parent=None), "progress": 0.0})


def test_fields_of_the_earlier_system_are_dropped_with_one_warning_each():
    made = draft(ROOT, *(job(f"t{n}", **dict.fromkeys(DROPPED, 1)) for n in range(3)))
    assert made.problems == ()
    assert sorted(warning.field for warning in made.warnings) == sorted(DROPPED)
    assert {warning.severity for warning in made.warnings} == {"warning"}


def test_a_tree_that_was_shown_can_be_created_again():
    engine_fields = {"tree_id": "old", "original_task_id": "older", "created_at": "2024-01-01T00:00:00Z", "updated_at": "x"}
    task = tree_of(job("a", parent=None, **engine_fields)).tasks["a"]
    assert (task.tree_id, task.original_task_id, task.created_at) == ("a", None, 7)


# Size

MANY = 100_000


def test_a_chain_of_any_length_is_built_without_recursion():
    made = draft(ROOT, *(job(f"t{n}", dependencies=[f"t{n + 1}"] if n < MANY - 1 else []) for n in range(MANY)))
    assert made.problems == ()
    assert len(made.tree) == MANY + 1


def test_a_circle_of_any_length_is_found_without_recursion():
    found = the_problem(ROOT, *(job(f"t{n}", dependencies=[f"t{(n + 1) % MANY}"]) for n in range(MANY)))
    assert found.code == CircularDependency.code
    assert f"{MANY - 20:,} more" in found.rule


def test_parents_of_any_depth_are_walked_without_recursion():
    chain = [job(f"t{n}", parent=f"t{n - 1}" if n else "root", executor=None if n < MANY - 1 else "x") for n in range(MANY)]
    made = draft(ROOT, *chain, job("after", dependencies=["t0"]))
    assert made.problems == ()
    assert waves(made.plan, list(made.tree)) == [[MANY], [MANY + 1]]
    found = the_problem(ROOT, *chain, job("below", parent=f"t{MANY - 1}", dependencies=["t0"]))
    assert found.code == CircularDependency.code


def wide(count):
    half = count // 2
    return [
        ROOT, job("g", executor=None), *(job(f"a{n}", parent="g") for n in range(half)),
        *(job(f"b{n}", dependencies=["g"], inputs={"x": {"$from": "g"}}) for n in range(half)),
    ]  # fmt: skip


def backwards(count):
    return [ROOT, *(job(f"t{n}", dependencies=[f"t{n + 1}"] if n < count - 1 else []) for n in range(count))]


def circle(count):
    return [ROOT, *(job(f"t{n}", dependencies=[f"t{(n + 1) % count}"]) for n in range(count))]


def deep(count):
    return [ROOT, *(job(f"t{n}", parent=f"t{n - 1}" if n else "root") for n in range(count))]


def islands(count):
    return [ROOT, job("x"), *(job(f"t{n}", parent=f"t{n ^ 1}") for n in range(count))]


def broken(count):
    return [ROOT, *(job(f"t{n % 7}", dependencies=["gone"], priority=99) for n in range(count))]


@pytest.mark.parametrize("shape", [wide, backwards, circle, deep, islands, broken])
def test_building_costs_the_same_per_task_whatever_the_size(steps, shape):
    small, large = steps(draft, *shape(1000)), steps(draft, *shape(8000))
    assert large < 8.2 * small
