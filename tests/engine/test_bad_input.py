"""What a user can get wrong, through the creator of a whole engine: it is told in full, and nothing is stored."""

import math

import attrs
import pytest

from apflow.testing import engine_of
from apflow_hookspecs import Policy, Problem, TaskQuery, errors, executor, hookimpl

from .conftest import ROOT, job


@executor("noop")
async def noop():
    return None


@executor("add")
async def add(a: int, b: int = 1):
    return a + b


@executor("take")
async def take(**inputs):
    return inputs


@attrs.frozen
class Model:
    model: str


@executor("ask", params=Model)
async def ask():
    return None


@attrs.frozen
class Options:
    attempts: int = 3


async def around(call_next, context, options):
    return await call_next()


PATIENT = Policy("patient", around, options=Options)

CASES = {
    "no array": ({"id": "a"}, "InvalidTree", None, "the tasks must be an array of objects, and are of type dict"),
    "a text": ("[]", "InvalidTree", None, "the tasks must be an array of objects, and are of type str"),
    "an empty array": ([], "InvalidTree", None, "the array of tasks is empty"),
    "no object": ([ROOT, job("a", executor="noop"), 5], "InvalidTask", ("#2", "task", 5), "must be an object"),
    "two roots": (
        [job("a", None), job("b", None)], "InvalidTree", (None, "parent_id", None), "2 tasks have no parent: 'a', 'b'",
    ),
    "unknown parent": ([ROOT, job("a", "gone")], "InvalidParent", ("a", "parent_id", "gone"), "no task of the array has this"),
    "unknown dependency": (
        [ROOT, job("a", dependencies=["b", "gone"]), job("b")],
        "InvalidDependency", ("a", "dependencies", "gone"), "no task of the array has this id or name",
    ),
    "a self-dependency": (
        [ROOT, job("a", dependencies=["a"])], "CircularDependency", ("a", "dependencies", "a"), "depends on itself: a → a",
    ),
    "a cycle of three": (
        [
            ROOT, job("a", dependencies=["c"]), job("b", dependencies=["a"]),
            job("c", dependencies=[{"id": "b", "required": False}]),
        ],
        "CircularDependency", ("a", "dependencies", "c"), "depends on itself: a → c → b → a",
    ),
    "a dependency on a group above": (
        [ROOT, job("g", executor=None), job("a", "g", dependencies=["root"])],
        "CircularDependency", ("a", "dependencies", "root"), "depends on itself: a → root → g → a",
    ),
    "an island": (
        [ROOT, job("x"), job("a", "b"), job("b", "a")],
        "InvalidTree", ("a", "parent_id", "b"), "cannot be reached from the root: 'a', 'b'",
    ),
    "unknown executor": (
        [ROOT, job("a", executor="nop")],
        "ExecutorNotFound", ("a", "executor", "nop"), "no plugin provides the executor 'nop'; did you mean 'noop'?",
    ),
    "an executor that is not installed": (
        [ROOT, job("a", executor="command_executor")],
        "ExecutorNotFound", ("a", "executor", "command_executor"), "comes with apflow-stdio, which is not installed",
    ),
    "a wrong input type": (
        [ROOT, job("a", executor="add", inputs={"a": "x"})], "InvalidTask", ("a", "inputs.a", "x"), "must be an integer",
    ),
    "a missing input": ([ROOT, job("a", executor="add")], "InvalidTask", ("a", "inputs.a", None), "is missing"),
    "an input too many": (
        [ROOT, job("a", executor="add", inputs={"a": 1, "c": 2})],
        "InvalidTask", ("a", "inputs.c", 2), "add takes no such input; it takes a, b",
    ),
    "wrong params": (
        [ROOT, job("a", executor="ask", params={"model": 5})], "InvalidTask", ("a", "params.model", 5), "must be text",
    ),
    "missing params": ([ROOT, job("a", executor="ask")], "InvalidTask", ("a", "params.model", None), "is missing"),
    "unknown field": (
        [ROOT, job("a", depends=["b"])],
        "InvalidTask", ("a", "depends", ["b"]), "there is no such field; did you mean 'dependencies'?",
    ),
    "a status that is not initial": (
        [ROOT, job("a", status="completed")], "InvalidTask", ("a", "status", "completed"), "it may only be null or 'pending'",
    ),
    "NaN": (
        [ROOT, job("a", executor="take", inputs={"x": [math.nan]})],
        "InvalidTask", ("a", "inputs.x.0", math.nan), "nan is not a number that JSON has",
    ),
    "a name of 300 characters": (
        [ROOT, job("a", name="n" * 300)], "InvalidTask", ("a", "name", "n" * 300), "must have 1 to 255 characters, and has 300",
    ),
    "two owners": (
        [{**ROOT, "user_id": "ada"}, job("a", user_id="bob")],
        "InvalidTree", ("a", "user_id", "bob"), "all tasks of a tree have one owner, and 'root' has another",
    ),
    "unknown policy": (
        [ROOT, job("a", policies={"patent": {}})],
        "InvalidTask", ("a", "policies.patent", {}), "no plugin provides the policy 'patent'; did you mean 'patient'?",
    ),
    "a policy's wrong option": (
        [ROOT, job("a", policies={"patient": {"attempts": "many"}})],
        "InvalidTask", ("a", "policies.patient.attempts", "many"), "must be an integer",
    ),
    "a policy's options that are no object": (
        [ROOT, job("a", policies={"patient": 3})], "InvalidTask", ("a", "policies.patient", 3), "must be an object",
    ),
    "$from a task that is not there": (
        [ROOT, job("a", executor="take", inputs={"x": {"$from": "gone", "path": "/y"}})],
        "InvalidDependency", ("a", "inputs.x", "gone"), "no task of the array has this id or name",
    ),
    "an empty group": ([ROOT], "InvalidTask", ("root", "executor", None), "a group must have tasks under it"),
    "an id twice": (
        [ROOT, job("a"), job("a")], "InvalidTask", ("a", "id", "a"), "another task of the array (#1) has this id or key",
    ),
}  # fmt: skip


@pytest.fixture
async def engine():
    async with engine_of(noop, add, take, ask, policies=[PATIENT]) as engine:
        yield engine


async def refused(engine, tasks, **options):
    """The error, after a look that nothing was stored."""
    before = await engine.storage.count(TaskQuery())
    with pytest.raises(errors.ApflowError) as caught:
        await engine.creator.create_task_tree_from_array(tasks, **options)
    assert await engine.storage.count(TaskQuery()) == before
    return caught.value


@pytest.mark.parametrize("fresh_ids", [False, True], ids=["ids kept", "fresh ids"])
@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_told_by_task_field_value_and_rule(engine, case, fresh_ids):
    tasks, cls, place, rule = CASES[case]
    error = await refused(engine, tasks, fresh_ids=fresh_ids)
    assert type(error) is getattr(errors, cls)
    assert rule in str(error)
    if place is None:
        assert error.problems == ()
    else:
        (problem,) = error.problems
        assert (problem.task, problem.field) == place[:2]
        assert problem.value is place[2] or problem.value == place[2]
        assert rule in problem.rule
        assert str(error) == str(problem)


async def test_an_id_that_is_taken_is_refused_and_what_has_it_stays(engine):
    tree = await engine.creator.create_task_tree_from_array([ROOT, job("a")])
    error = await refused(engine, [{"id": "other"}, job("a", "other")])
    assert type(error) is errors.InvalidTask
    (problem,) = error.problems
    assert (problem.task, problem.field, problem.value) == ("a", "id", "a")
    assert "a stored task has this id" in problem.rule
    assert (await engine.tree("a")).id == tree.id
    await engine.creator.create_task_tree_from_array([ROOT, job("a")], fresh_ids=True)
    assert await engine.storage.count(TaskQuery()) == {"pending": 4}


async def test_all_problems_are_told_at_once(engine):
    error = await refused(engine, [
        ROOT, job("a", executor="nope", priority=99, inputs={"x": math.inf}), job("b", dependencies=["c"], nmae="x"),
        job("c", executor="add", inputs={"a": "1", "b": {"$from": "b"}}, policies={"retr": {}}), job("d", "gone"),
    ])  # fmt: skip
    assert {(p.task, p.field) for p in error.problems} == {
        ("a", "priority"), ("a", "inputs.x"), ("a", "executor"), ("b", "nmae"), ("b", "dependencies"), ("c", "inputs.a"),
        ("c", "policies.retr"), ("d", "parent_id"),
    }  # fmt: skip
    assert type(error) is errors.InvalidTask
    assert str(error).startswith("8 problems, the first: task 'a', priority = 99: must be an integer")


async def test_of_many_problems_the_first_twenty_are_told(engine):
    error = await refused(engine, [ROOT, *(job(f"t{n}", priority=99) for n in range(30))])
    assert [p.task for p in error.problems] == [f"t{n}" for n in range(20)]
    assert str(error).startswith("more than 20 problems, the first: task 't0'")


async def test_a_task_is_called_as_its_author_calls_it_whoever_finds_the_problem(engine):
    tasks = [
        ROOT,
        {"parent_id": "root", "executor": "nope"},
        job(name="twice", executor="nope"),
        job(name="twice", executor="nope"),
    ]
    error = await refused(engine, tasks)
    assert [problem.task for problem in error.problems] == ["#1", "twice", "twice"]


async def test_validators_see_every_task_of_a_broken_array(engine):
    # Two tasks of one key: what depends on the first is looked at like any other.
    error = await refused(engine, [
        ROOT, job("b", key="a"), job("a"), job("c", executor="add", dependencies=["b"], inputs={"a": "x"}),
    ])  # fmt: skip
    assert [(p.task, p.field) for p in error.problems] == [("a", "id"), ("c", "inputs.a")]


async def test_a_value_of_any_size_is_told_in_one_short_line(engine):
    error = await refused(engine, [ROOT, job("a", labels=["x" * 10_000] * 10_000), job("b", name="\n" * 10_000)])
    assert all(len(str(problem)) < 1000 and "\n" not in str(problem) for problem in error.problems)


class Strict:
    @hookimpl
    async def apflow_validate_task(self, task, executor, tree):
        return [Problem("must not shout", field="name", value=task.name)] if task.name.isupper() else []

    @hookimpl
    def apflow_validate_tree(self, tree):
        yield Problem("is large", severity="warning")
        if len(tree) > 2:
            yield Problem("must be small")


async def test_validators_of_plugins_stand_beside_the_built_in_ones():
    async with engine_of(noop, plugins={"strict": Strict()}) as engine:
        error = await refused(engine, [ROOT, job("a", name="A"), job("b", executor="nope")])
        assert [(p.task, p.field, p.rule.partition(";")[0]) for p in error.problems] == [
            ("a", "name", "must not shout"),
            ("b", "executor", "no plugin provides the executor 'nope'"),
            (None, None, "must be small"),
        ]
        draft = await engine.creator.check([ROOT, job("a")])
        assert (draft.problems, [p.rule for p in draft.warnings]) == ((), ["is large"])
        await engine.creator.create_task_tree_from_array([ROOT, job("a")])


async def test_of_inputs_that_could_not_be_read_nothing_is_said_to_be_missing():
    @executor("needs")
    async def needs(a: float, b: int):
        return a

    async with engine_of(needs) as engine:
        with pytest.raises(errors.InvalidTask) as refused:
            await engine.creator.create_task_tree_from_array(
                [{"id": "a", "executor": "needs", "inputs": {"a": math.nan, "b": 1}}]
            )
    told = [str(problem) for problem in refused.value.problems]
    assert told == ["task 'a', inputs.a = nan: nan is not a number that JSON has"]
