from itertools import pairwise

import pytest
from hypothesis import given

from apflow.tree import build
from apflow.waves import critical_path, waves

from .conftest import ROOT, job
from .test_schedule_properties import arrays


def order(*tasks):
    """The waves and the critical path of an array, as keys."""
    draft = build(tasks, now=0)
    assert draft.problems == ()
    keys = list(draft.tree.tasks)
    found = waves(draft.plan, list(draft.tree))
    return [[keys[n] for n in wave] for wave in found], [keys[n] for n in critical_path(draft.plan, found)]


def chain(count):
    return [ROOT, *(job(f"t{n}", dependencies=[f"t{n + 1}"] if n < count - 1 else []) for n in range(count))]


def deep(count):
    """Groups within groups, and tasks that wait for the outermost, one after the other."""
    groups = [job(f"g{n}", parent=f"g{n - 1}" if n else "root", executor=None) for n in range(count)]
    waiting = [job(f"t{n}", dependencies=["g0", *([f"t{n - 1}"] if n else [])]) for n in range(count)]
    return [*reversed(waiting), *reversed(groups), job("work", parent=f"g{count - 1}"), ROOT]


def test_waves_are_the_tasks_that_could_run_side_by_side():
    found, path = order(
        ROOT,
        job("join", dependencies=["g"]),
        job("g", executor=None),
        job("a", parent="g"),
        job("b", parent="g", dependencies=["a"]),
        job("c"),
    )
    assert [set(wave) for wave in found] == [{"a", "c"}, {"b"}, {"join"}]
    assert path == ["a", "b", "join"]


def test_the_critical_path_goes_through_references_and_optional_dependencies():
    _, path = order(
        job("root", parent=None, dependencies=["last"]),
        job("first"),
        job("second", inputs={"x": {"$from": "first"}}),
        job("last", dependencies=[{"id": "second", "required": False}, "other"]),
        job("other"),
    )
    assert path == ["first", "second", "last", "root"]


def test_who_waits_for_a_working_task_does_not_wait_for_what_is_under_it():
    found, path = order(
        ROOT, job("above"), job("under", parent="above", dependencies=["x"]), job("x"), job("after", dependencies=["above"])
    )
    assert [set(wave) for wave in found] == [{"above", "x"}, {"under", "after"}]
    assert path in (["above", "after"], ["x", "under"])


def test_of_tasks_that_wait_for_nothing_one_is_the_longest_chain():
    assert order(ROOT, job("a"), job("b")) == ([["a", "b"]], ["a"])


def awaited(tree, task):
    """The working tasks for which one waits, by looking at everything."""

    def works_under(other):
        return {n for child in tree.children(other) for n in works_under(child)} | ({other.n} if other.executor else set())

    needed = [tree[dependency.task_id] for dependency in task.dependencies]
    return {n for other in needed for n in ({other.n} if other.executor else works_under(other))}


@given(arrays())
def test_the_critical_path_is_as_long_as_the_longest_chain_and_each_of_it_waits_for_the_one_before(array):
    draft = build(array, now=0)
    tasks = list(draft.tree)
    waits_for = {task.n: awaited(draft.tree, task) for task in tasks if task.executor}

    def longest(n):
        return 1 + max(map(longest, waits_for[n]), default=0)

    path = critical_path(draft.plan, waves(draft.plan, tasks))
    assert len(path) == max(map(longest, waits_for))
    assert all(before in waits_for[n] for before, n in pairwise(path))


@pytest.mark.parametrize("shape", [chain, deep])
def test_the_critical_path_costs_the_same_per_task_whatever_the_size(steps, shape):
    def cost(count):
        draft = build(shape(count), now=0)
        assert draft.problems == ()
        return steps(lambda: critical_path(draft.plan, waves(draft.plan, list(draft.tree))))

    assert cost(4000) < 8.4 * cost(500)
