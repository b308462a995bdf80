"""An author's array → a tree: one pass over the objects, then the checks that make a tree a tree.

These checks cannot be switched off. All problems of an array are found together, on data that nobody else holds.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from attrs import frozen

from apflow import references
from apflow.fields import Reader, Written
from apflow.plan import AMBIGUOUS, Plan, index
from apflow.schedule import COMPLETED, Course, Schedule
from apflow_hookspecs import Dependency, Problem, Task, TaskTree
from apflow_hookspecs.errors import CircularDependency, InvalidDependency, InvalidParent, InvalidTree

MAX_SHOWN = 20
"""How many problems a refusal tells, and how many names one problem."""


@frozen
class Draft:
    """What became of an array.

    Args:
        tree: As far as it could be built; it may only be stored when there are no problems.
        plan: Its order graph.
        problems: What is wrong.
        warnings: What was left out or may surprise.
    """

    tree: TaskTree
    plan: Plan
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def build(
    array: Sequence[Any],
    *,
    now: int,
    user_id: str | None = None,
    origin: Literal["local", "remote"] = "local",
    fresh_ids: bool = False,
    max_depth: int = 64,
) -> Draft:
    """Build the tree of an array of objects.

    Args:
        array: As the author wrote it; left as it is.
        now: Instant of creation.
        user_id: Owner where the tasks name none.
        origin: Who creates it.
        fresh_ids: Make new ids and keep the given ones as keys, so that an array can be created twice.
        max_depth: Of any value.
    """
    with _garbage_collection_paused():
        return _Builder(array, now, max_depth, fresh_ids=fresh_ids).draft(user_id, origin)


def waves(plan: Plan, tasks: Sequence[Task]) -> list[list[int]]:
    """The numbers of the tasks by the wave in which they could start, were there slots for all; in a cycle none starts."""
    schedule: Schedule[Course] = Schedule(plan.size)
    course = Course(plan, tasks)
    schedule.add(course, ())
    found = []
    while starts := schedule.claims():
        found.append([n for _, n in starts])
        for _, n in starts:
            schedule.released(course, n)
            schedule.settled(course, n, COMPLETED)
    return found


class _Builder:
    def __init__(self, array: Sequence[Any], now: int, max_depth: int, *, fresh_ids: bool) -> None:
        reader = Reader(max_depth)
        self.now = now
        self.written = [reader.read(n, raw) for n, raw in enumerate(array)]
        self.problems = reader.problems
        self.warnings = reader.warnings
        self.ids = self._ids(fresh=fresh_ids)
        self.keys = self._keys()
        self.refs = index((w.id, w.key, w.name) for w in self.written)

    def draft(self, user_id: str | None, origin: Literal["local", "remote"]) -> Draft:
        parents = [self._parent(w) for w in self.written]
        roots = self._check_shape(parents)
        needed = [self._needed(w) for w in self.written]
        groups = {w.n for w in self.written if "executor" not in w.fields}
        self._check_groups(groups, parents)
        plan = Plan(parents, groups, needed)
        owner = self._owner(user_id)
        root_id = self.ids[roots[0]] if roots else self.ids[0]
        tasks = {task.key: task for task in self._tasks(plan, root_id, owner)}
        tree = TaskTree(id=root_id, tasks=tasks, user_id=owner, origin=origin, created_at=self.now, status_at=self.now)
        self._check_order(plan, list(tasks.values()))
        return Draft(tree, plan, tuple(self.problems), tuple(self.warnings.values()))

    def _problem(
        self, rule: str, w: Written | None = None, field: str | None = None, value: Any = None, code: int = -32005
    ) -> None:
        self.problems.append(Problem(rule, None if w is None else w.label, field, value, code))

    def _ids(self, *, fresh: bool) -> list[str]:
        new = _new_ids(len(self.written))
        seen: dict[str, Written] = {}
        for w in self.written:
            if w.id is not None and seen.setdefault(w.id, w) is not w:
                self._problem(f"another task of the array (#{seen[w.id].n}) has this id", w, "id", w.id)
        return new if fresh else [w.id or made for w, made in zip(self.written, new, strict=True)]

    def _keys(self) -> list[str]:
        """The author's key or id, else the name where it is unique and no other task's key, else the id."""
        taken: dict[str, int] = {}
        for w in self.written:
            key = w.key or w.id
            if key is None:
                continue
            if taken.setdefault(key, w.n) != w.n and w.key is not None:
                self._problem(f"another task of the array (#{taken[key]}) has this key", w, "key", key)
        names: dict[str, int] = {}
        for w in self.written:
            if w.key is None and w.id is None and w.name is not None:
                names[w.name] = AMBIGUOUS if w.name in names or w.name in taken else w.n
        return [
            w.key or w.id or (w.name if w.name is not None and names[w.name] == w.n else self.ids[w.n]) for w in self.written
        ]

    def _resolve(self, ref: str) -> tuple[int, str]:
        """The number behind a reference; below nought, with the rule that it breaks, where there is none."""
        n = self.refs.get(ref)
        if n is None:
            return -2, "no task of the array has this id or name"
        return n, "several tasks of the array have this name; refer to one by its id"

    def _parent(self, w: Written) -> int:
        if w.parent_id is None:
            return -1
        n, rule = self._resolve(w.parent_id)
        if n < 0:
            self._problem(rule, w, "parent_id", w.parent_id, InvalidParent.code)
            return -2
        return n

    def _needed(self, w: Written) -> dict[int, bool]:
        """What a task waits for: its dependencies, and whom its inputs refer to."""
        needed: dict[int, bool] = {}
        for ref, required in w.dependencies.items():
            n, rule = self._resolve(ref)
            if n < 0:
                self._problem(rule, w, "dependencies", ref, InvalidDependency.code)
            else:
                needed[n] = needed.get(n, False) or required
        inputs = w.fields.get("inputs")
        for reference in references.find(inputs) if inputs else ():
            n, rule = (-2, reference.rule) if reference.rule else self._resolve(reference.key)
            if n < 0:
                self._problem(rule, w, reference.field, reference.key, InvalidDependency.code)
            elif n not in needed:
                needed[n] = True
        return needed

    def _check_shape(self, parents: list[int]) -> list[int]:
        """Exactly one root, and every task under it."""
        roots = [n for n, parent in enumerate(parents) if parent == -1]
        if len(roots) != 1 and not (not roots and -2 in parents):  # noqa: PLR2004 - an unknown parent was told already
            names = ", ".join(repr(self.written[n].label) for n in roots[:MAX_SHOWN])
            rule = (
                f"a tree has one root, and {len(roots)} tasks have no parent: {names}"
                if roots
                else "no task is without a parent"
            )
            self._problem(rule, None, "parent_id", None, InvalidTree.code)
        for island in _islands(parents):
            names = ", ".join(repr(self.written[n].label) for n in island[:MAX_SHOWN])
            self._problem(
                "these tasks are each other's parents and cannot be reached from the root: " + names,
                self.written[island[0]], "parent_id", self.written[island[0]].parent_id, InvalidTree.code,
            )  # fmt: skip
            for n in island:
                parents[n] = -2
        for n, parent in enumerate(parents):
            parents[n] = max(parent, -1)
        return roots

    def _check_groups(self, groups: set[int], parents: list[int]) -> None:
        full = set(parents)
        for n in groups:
            w = self.written[n]
            if n not in full:
                self._problem(
                    "a task without an executor is a group, and a group must have tasks under it", w, "executor", None
                )
            for field in ("inputs", "policies"):
                if field in w.fields:
                    self._problem("a group (no executor) cannot have any", w, field, w.fields[field])
            if w.dependencies:
                self._problem("a group (no executor) cannot have any", w, "dependencies", list(w.dependencies))

    def _check_order(self, plan: Plan, tasks: list[Task]) -> None:
        if plan.forward or len(tasks) != plan.size or sum(map(len, waves(plan, tasks))) + len(plan.groups) == plan.size:
            return
        cycle = plan.cycle()
        if cycle:
            shown = [self.written[n].label for n in [*cycle[:MAX_SHOWN], cycle[0]]]
            self._problem(
                "depends on itself: " + " → ".join(shown),
                self.written[cycle[0]], "dependencies", list(self.written[cycle[0]].dependencies), CircularDependency.code,
            )  # fmt: skip

    def _owner(self, user_id: str | None) -> str | None:
        owners = {w.fields.pop("user_id"): w for w in reversed(self.written) if "user_id" in w.fields}
        if len(owners) > 1:
            for owner, w in list(owners.items())[1:]:
                self._problem("all tasks of a tree have one owner", w, "user_id", owner, InvalidTree.code)
        return next(iter(owners), user_id)

    def _tasks(self, plan: Plan, tree_id: str, owner: str | None) -> Iterator[Task]:
        ids, keys, parents, now = self.ids, self.keys, plan.parents, self.now
        for w in self.written:
            n = w.n
            key = keys[n]
            parent = parents[n]
            if w.dependencies:
                w.fields["dependencies"] = tuple(
                    Dependency(ids[m], ref, required)
                    for ref, required in w.dependencies.items()
                    if (m := self.refs.get(ref, -2)) >= 0
                )
            yield Task(
                n=n, id=ids[n], key=key, name=w.name or key, parent_id=None if parent < 0 else ids[parent],
                tree_id=tree_id, user_id=owner, created_at=now, updated_at=now, **w.fields,
            )  # fmt: skip


def _islands(parents: list[int]) -> Iterator[list[int]]:
    """Circles of parents: each yields its members once."""
    seen = bytearray(len(parents))
    for start in range(len(parents)):
        path, n = [], start
        while n >= 0 and not seen[n]:
            seen[n] = 1
            path.append(n)
            n = parents[n]
        if n in path[-1:] or (n >= 0 and n in set(path)):
            yield path[path.index(n) :]


def _new_ids(count: int) -> list[str]:
    """UUIDs of version 7 (RFC 9562), in increasing order: a millisecond, then a random number that is counted up."""
    stamp = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | 0b10 << 62
    random = int.from_bytes(os.urandom(9)) >> 1  # the highest of its bits is free, so that counting cannot overflow
    made = []
    for value in range(random, random + count):
        text = f"{stamp | (value >> 62 & 0xFFF) << 64 | value & 0x3FFFFFFFFFFFFFFF:032x}"
        made.append(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
    return made


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Building makes many objects and no garbage; looking for some meanwhile doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
