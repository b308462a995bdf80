"""The plan of a tree: who waits for whom, as arrays by task number.

It is the *order graph*: dependencies, references, and from a group to all that is under it. The last is counted through one
counter per subtree, so that a group of a thousand tasks on which a thousand others depend costs two thousand edges and not a
million. Everything here is O(V+E) and without recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from apflow import references
from apflow_hookspecs import Task, TaskStatus, TaskTree

NOBODY: list[int] = []
"""Stands for the dependents of all tasks that have none; never filled."""

GONE = Task(n=-1, id="", key="", name="", tree_id="", status=TaskStatus.COMPLETED)
"""Stands in the place of a task that was deleted out of its tree: a group with nothing under it, of which nobody hears."""


class Plan:
    """The order graph of one tree; it never changes.

    Args:
        parents: Number of each task's parent; -1 has none.
        groups: Numbers of the tasks that do no work.
        dependencies: Of each task, the numbers that it waits for → whether they must complete; empty for none.
        gone: Those of the groups that are no tasks any more.
    """

    def __init__(
        self,
        parents: Sequence[int],
        groups: frozenset[int] | set[int],
        dependencies: Sequence[Mapping[int, bool]],
        gone: frozenset[int] = frozenset(),
    ) -> None:
        size = len(parents)
        self.size = size
        self.parents = parents
        self.groups = groups
        self.gone = gone
        self.dependencies = dependencies
        self.waits = [len(needed) for needed in dependencies]
        """How many tasks each waits for."""
        self.under = [1] * size
        """What has to settle until all of a subtree has: the task itself, unless it is a group, and each child's subtree."""
        self.required: list[list[int]] = [NOBODY] * size
        """Who needs each task to complete."""
        self.optional: dict[int, list[int]] = {}
        """Who waits for a task, however it ends."""
        self.forward = True
        """Whether every task waits only for tasks of lower numbers: then there is no cycle."""
        for n in groups:
            self.under[n] = 0
        for parent in parents:
            if parent >= 0:
                self.under[parent] += 1
        for n, needed in enumerate(dependencies):
            for other, required in needed.items():
                self._edge(other, n, required=required)

    def _edge(self, other: int, n: int, *, required: bool) -> None:
        if other >= n or other in self.groups:
            self.forward = False
        if not required:
            self.optional.setdefault(other, []).append(n)
        elif self.required[other] is NOBODY:
            self.required[other] = [n]
        else:
            self.required[other].append(n)

    @classmethod
    def of(cls, tree: TaskTree) -> Plan:
        """The plan of a tree that the builder made: its references are keys."""
        tasks = numbered(tree)
        numbers = {task.id: task.n for task in tree}
        needed: list[dict[int, bool]] = []
        for task in tasks:
            waits = {numbers[dependency.task_id]: dependency.required for dependency in task.dependencies}
            for reference in references.find(task.inputs) if task.inputs else ():
                waits.setdefault(tree.tasks[reference.key].n, True)
            needed.append(waits)
        parents = [-1 if task.parent_id is None else numbers[task.parent_id] for task in tasks]
        groups = {n for n, task in enumerate(tasks) if task.executor is None}
        return cls(parents, groups, needed, frozenset(n for n in groups if tasks[n] is GONE))

    def subtree(self, n: int) -> list[int]:
        """A task and all its descendants."""
        found = [n]
        for number in found:
            found.extend(self.children[number])
        return found

    def above(self, numbers: Iterable[int]) -> set[int]:
        """All tasks above some."""
        found: set[int] = set()
        for start in numbers:
            n = self.parents[start]
            while n >= 0 and n not in found:
                found.add(n)
                n = self.parents[n]
        return found

    @cached_property
    def children(self) -> list[list[int]]:
        """The numbers directly under each task."""
        children: list[list[int]] = [[] for _ in range(self.size)]
        for n, parent in enumerate(self.parents):
            if parent >= 0:
                children[parent].append(n)
        return children

    def cycle(self) -> list[int]:
        """The tasks of one cycle, in the order in which each waits for the next; empty when there is none."""
        children = self.children

        # Node n is the end of a task, node size + n the end of its subtree; the end of a group is that of its subtree.
        def waits_for(node: int) -> Iterator[int]:
            n = node % self.size
            if node >= self.size:
                yield n
            if node >= self.size or n in self.groups:
                yield from (self.size + child for child in children[n])
            if node < self.size:
                yield from self.dependencies[n]

        done = bytearray(2 * self.size)
        for start in range(self.size):
            path = _circle(start, waits_for, done)
            if path:
                numbers = [node % self.size for node in path]
                return [n for i, n in enumerate(numbers) if n != numbers[i - 1] or len(numbers) == 1]
        return []


def _circle(start: int, waits_for: Callable[[int], Iterator[int]], done: bytearray) -> list[int]:
    """A circle that can be reached from a node, by depth-first search; nodes that lead to none are marked done."""
    if done[start]:
        return []
    path, ahead, on_path = [start], [waits_for(start)], {start: 0}
    while path:
        node = next(ahead[-1], None)
        if node is None:
            ahead.pop()
            left = path.pop()
            del on_path[left]
            done[left] = 1
        elif node in on_path:
            return path[on_path[node] :]
        elif not done[node]:
            on_path[node] = len(path)
            path.append(node)
            ahead.append(waits_for(node))
    return []


def numbered(tree: TaskTree) -> list[Task]:
    """The tasks of a tree by number; `GONE` where one was deleted."""
    tasks = list(tree)
    if not tasks or tasks[-1].n < len(tasks):
        return tasks
    places = [GONE] * (tasks[-1].n + 1)
    for task in tasks:
        places[task.n] = task
    return places


AMBIGUOUS = -1


def index(tasks: Iterable[tuple[str | None, str | None, str | None]]) -> dict[str, int]:
    """Every way to refer to a task → its number, from each task's (id, key, name): an id before a key, a key before a name.

    A name that several tasks bear leads to `AMBIGUOUS`, unless it is also an id or a key.
    """
    ids: dict[str, int] = {}
    keys: dict[str, int] = {}
    names: dict[str, int] = {}
    for n, (task_id, key, name) in enumerate(tasks):
        if task_id is not None:
            ids.setdefault(task_id, n)
        if key is not None:
            keys.setdefault(key, n)
        if name is not None:
            names[name] = AMBIGUOUS if name in names else n
    return {**names, **keys, **ids}
