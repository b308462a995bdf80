"""Copies of any tree in any state, against the rules as a model that looks at everything again until nothing changes."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from apflow.copying import AGAIN, CARRIED, GROUP, Choice, choose
from apflow.testing import engine_of
from apflow.tree import build
from apflow_hookspecs import TaskContext, TaskFailed, TaskStatus, executor

from .test_schedule_properties import arrays

ENDED = ("completed", "failed", "cancelled", "skipped")
EXECUTORS = ("free", "narrow", "wide")


@st.composite
def choices(draw, tree):
    """A task and the options of a copy of it."""
    tasks = list(tree)
    task = draw(st.sampled_from(tasks))
    options = {"children": draw(st.booleans()), "copy_mode": draw(st.sampled_from(["minimal", "minimal", "full", "custom"]))}
    if options["copy_mode"] == "minimal":
        options["dependents"] = draw(st.sampled_from(["auto", "all", "none"]))
    elif options["copy_mode"] == "custom":
        chosen = draw(st.lists(st.sampled_from(tasks), min_size=1, max_size=3, unique=True))
        options["task_ids"] = [task.id for task in chosen]
        options[draw(st.sampled_from(["include_dependents", "allow_partial"]))] = True
    return task, Choice(**options)


class Model:
    """What a copy of a task is, by the words of the rules."""

    def __init__(self, tree, task, choice):
        self.tree = tree
        self.working = [t for t in tree if t.executor]
        self.base = self._base(task, choice)
        dependents = self._dependents()
        kept = dependents if self._keeps_all(choice) else {t for t in dependents if self._keeps(t, choice)}
        self.left = dependents - kept
        self.again, self.carried = self.base | kept, set()
        if choice.copy_mode == "full":
            self.again |= {t for t in self.working if t.status != "completed"}
            self.carried = set(self.working) - self.again
        while self._grow():
            pass
        self.left -= self.again | self.carried
        copied = self.again | self.carried
        self.groups = {a for t in copied for a in self.above(t)} - copied

    def above(self, task):
        while task.parent_id is not None:
            task = self.tree[task.parent_id]
            yield task

    def under(self, task):
        return {t for t in self.tree if task in self.above(t)}

    def needs(self, task):
        """The working tasks that a task depends on, once or more → whether one of these times it requires them."""
        found = {}
        for dependency in task.dependencies:
            other = self.tree[dependency.task_id]
            for t in [other] if other.executor else self.under(other):
                if t.executor:
                    found[t] = found.get(t, False) or dependency.required
        return found

    def _base(self, task, choice):
        heads = [self.tree[id] for id in choice.task_ids] if choice.task_ids else [task]
        found = set(heads)
        for head in heads:
            if choice.children or not head.executor:
                found |= self.under(head)
        return {t for t in found if t.executor}

    def _dependents(self):
        found = set(self.base)
        while more := {t for t in self.working if t not in found and found & self.needs(t).keys()}:
            found |= more
        return found - self.base

    def _keeps_all(self, choice):
        return choice.copy_mode == "full" or choice.dependents == "all" or choice.include_dependents

    def _keeps(self, dependent, choice):
        if choice.dependents == "none" or choice.allow_partial:
            return False
        failed_leaf = any(t.status == "failed" and not self.tree.children(t) for t in self.base)
        return not (failed_leaf and dependent.status in ("pending", "skipped"))

    def _grow(self):
        before = len(self.again), len(self.carried - self.again)
        for task in self.again | self.carried:
            for other, required in self.needs(task).items():
                strictly = required and task in self.again
                self._add(other, "completed" if strictly else ENDED)
            for ancestor in self.above(task):
                if ancestor.executor and ancestor not in self.left:
                    self._add(ancestor, "completed")
        self.carried -= self.again
        return before != (len(self.again), len(self.carried))

    def _add(self, task, stays):
        (self.carried if task.status.value in stays else self.again).add(task)


def numbers(tasks):
    return sorted(task.n for task in tasks)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), array=arrays())
def test_what_is_chosen_is_what_the_rules_say(data, array):
    tree = build(array, now=0).tree
    for task in tree:
        if task.executor:
            task.status = data.draw(st.sampled_from(TaskStatus))
    task, choice = data.draw(choices(tree))
    chosen, model = choose(tree, task, choice), Model(tree, task, choice)

    assert numbers(chosen.of(AGAIN)) == numbers(model.again)
    assert numbers(chosen.of(CARRIED)) == numbers(model.carried)
    assert numbers(chosen.of(GROUP)) == numbers(model.groups)
    assert sorted(chosen.left_out) == numbers(model.left)


class Workers:
    """Executors of which some fail, until all is well; they count who ran."""

    def __init__(self, failing):
        self.failing = failing
        self.ran = Counter()

    def executors(self):
        async def work(context: TaskContext):
            self.ran[context.task.key] += 1
            if context.task.key in self.failing:
                raise TaskFailed("it has to")
            return context.task.key

        return [executor(name)(work) for name in EXECUTORS]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), array=arrays())
def test_a_copy_stands_alone_and_runs_what_has_to_run_and_nothing_else(data, array):
    workers = Workers(data.draw(st.sets(st.sampled_from([task["id"] for task in array]))))
    runs = data.draw(st.booleans())

    async def copy_and_run():
        async with engine_of(*workers.executors()) as engine:
            tree = await engine.creator.create_task_tree_from_array(array)
            if runs:
                await engine.manager.distribute_task_tree(tree)
            before = await snapshot(engine, tree.id)
            task, choice = data.draw(choices(tree))
            report = await engine.creator.copy(task, choice)
            assert await snapshot(engine, tree.id) == before
            stands_alone(tree, report)
            workers.failing = ()
            workers.ran.clear()
            await asyncio.wait_for(engine.manager.distribute_task_tree(report.tree), 60)
            assert workers.ran == Counter(task.key for task in Model(tree, task, choice).again)
            assert workers.ran == Counter(report.run_again)
            assert await snapshot(engine, tree.id) == before

    asyncio.run(copy_and_run())


async def snapshot(engine, tree_id):
    """All that is stored of a tree."""
    tree = await engine.storage.tree(tree_id)
    record = {name: value for name, value in vars(tree).items() if name != "tasks" and not name.startswith("_")}
    return record, [{name: getattr(task, name) for name in task.__slots__ if name != "__weakref__"} for task in tree]


def stands_alone(source, report):
    copy = report.tree
    ids = {task.id for task in copy}
    assert not ids & {task.id for task in source}
    assert {task.tree_id for task in copy} == {copy.id}
    assert [task.id for task in copy if task.parent_id is None] == [copy.id]
    assert all(task.parent_id in ids for task in copy if task is not copy.root)
    assert all(dependency.task_id in ids for task in copy for dependency in task.dependencies)
    assert report.ids == {task.original_task_id: task.id for task in copy}
    assert all(source[old].key == copy[new].key for old, new in report.ids.items())
