"""An author's array → a tree: one pass over the objects, then the checks that make a tree a tree.

These checks cannot be switched off. All problems of an array are found together, on data that nobody else holds.
"""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from attrs import frozen

from apflow import references
from apflow.fields import Reader, Written
from apflow.plan import AMBIGUOUS, Plan, index
from apflow.waves import waves
from apflow_hookspecs import Dependency, Problem, Task, TaskTree
from apflow_hookspecs.errors import CircularDependency, InvalidDependency, InvalidParent, InvalidTree

MAX_SHOWN = 20
"""How many problems a refusal tells, and how many names one problem."""

UNKNOWN = -2
"""Stands for the number of a parent, or of a task referred to, that is not there; -1 is no parent."""
RULES = {
    UNKNOWN: "no task of the array has this id or name",
    AMBIGUOUS: "several tasks of the array have this name; refer to one by its id",
}
"""What a reference breaks that leads to no task."""


@frozen
class Draft:
    """What became of an array.

    Args:
        tree: As far as it could be built; it may only be stored when there are no problems.
        plan: Its order graph.
        problems: What is wrong.
        warnings: What was left out or may surprise.
        labels: How the author calls the tasks whose key was made, by key: their name, or their place in the array.
    """

    tree: TaskTree
    plan: Plan
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    labels: Mapping[str, str]


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


class _Builder:
    def __init__(self, array: Sequence[Any], now: int, max_depth: int, *, fresh_ids: bool) -> None:
        reader = Reader(max_depth)
        self.now = now
        self.written = [reader.read(n, raw) for n, raw in enumerate(array)]
        self.problems = reader.problems
        self.warnings = reader.warnings
        self.taken = self._taken()
        self.ids = self._ids(fresh=fresh_ids)
        self.keys = self._keys()
        self.refs = index((w.id, w.key, w.name) for w in self.written)
        self.shared: tuple[dict[str, Dependency], dict[str, Dependency]] = {}, {}
        """The optional and the required dependencies by reference: one object for all tasks that share it."""

    def draft(self, user_id: str | None, origin: Literal["local", "remote"]) -> Draft:
        parents = [self._parent(w) for w in self.written]
        roots = self._check_shape(parents)
        needed = [self._needed(w) for w in self.written]
        self._check_secrets()
        groups = {w.n for w in self.written if "executor" not in w.fields}
        self._check_groups(groups, parents)
        plan = Plan([max(parent, -1) for parent in parents], groups, needed)
        owner = self._owner(user_id)
        root_id = self.ids[roots[0]] if roots else self.ids[0]
        tasks = list(self._tasks(plan, root_id, owner))
        self._check_order(plan, tasks)
        by_key = {task.key: task for task in tasks}
        if len(by_key) < len(tasks):  # which was told; the checks to come see every task all the same
            by_key = {f"#{task.n}": task for task in tasks}
        tree = TaskTree(id=root_id, tasks=by_key, user_id=owner, origin=origin, created_at=self.now, status_at=self.now)
        labels = {made: w.label for w, made in zip(self.written, self.keys, strict=True) if made == self.ids[w.n] != w.label}
        return Draft(tree, plan, tuple(self.problems), tuple(self.warnings.values()), labels)

    def _problem(
        self, rule: str, w: Written | None = None, field: str | None = None, value: Any = None, code: int = -32005
    ) -> None:
        self.problems.append(Problem(rule, None if w is None else w.label, field, value, code))

    def _taken(self) -> dict[str, Written]:
        """The task that each id and key given means; none may mean two."""
        taken: dict[str, Written] = {}
        for w in self.written:
            for field, word in (("id", w.id), ("key", w.key)):
                if word is not None and (other := taken.setdefault(word, w)) is not w:
                    self._problem(f"another task of the array (#{other.n}) has this id or key", w, field, word)
        return taken

    def _ids(self, *, fresh: bool) -> list[str]:
        new = iter(_new_ids(len(self.written) if fresh else sum(w.id is None for w in self.written)))
        return [next(new) if fresh or w.id is None else w.id for w in self.written]

    def _keys(self) -> list[str]:
        """The author's key or id, else the name where nothing else of the tree bears it, else the id."""
        names = Counter(w.name for w in self.written if w.name is not None)
        return [
            w.key or w.id or (w.name if w.name is not None and names[w.name] == 1 and w.name not in self.taken else made)
            for w, made in zip(self.written, self.ids, strict=True)
        ]

    def _parent(self, w: Written) -> int:
        if w.parent_id is None:
            return UNKNOWN if "parent_id" in w.broken else -1
        n = self.refs.get(w.parent_id, UNKNOWN)
        if n < 0:
            self._problem(RULES[n], w, "parent_id", w.parent_id, InvalidParent.code)
            return UNKNOWN
        return n

    def _needed(self, w: Written) -> dict[int, bool]:
        """What a task waits for: its dependencies, and whom its inputs refer to."""
        refs, needed, named = self.refs, dict[int, bool](), dict[int, str]()
        for ref, required in w.dependencies.items():
            n = refs.get(ref, UNKNOWN)
            if n < 0:
                self._problem(RULES[n], w, "dependencies", ref, InvalidDependency.code)
            else:
                needed[n] = needed.get(n, False) or required
                named.setdefault(n, ref)
        if named:
            w.fields["dependencies"] = tuple([self._dependency(n, ref, needed[n]) for n, ref in named.items()])
        inputs = w.fields.get("inputs")
        for reference in references.find(inputs) if inputs else ():
            n = UNKNOWN if reference.rule else refs.get(reference.key, UNKNOWN)
            if n < 0:
                self._problem(reference.rule or RULES[n], w, reference.field, reference.key, InvalidDependency.code)
            else:
                reference.written[references.FROM] = self.keys[n]  # which stays, whatever becomes of ids and names
                needed.setdefault(n, True)
        return needed

    def _check_secrets(self) -> None:
        for w in self.written:
            for field in ("inputs", "params"):
                given = w.fields.get(field)
                for secret in references.find_secrets(given) if given else ():
                    if secret.rule is not None:
                        self._problem(secret.rule, w, f"{field}{secret}", secret.written)

    def _dependency(self, n: int, ref: str, required: bool) -> Dependency:  # noqa: FBT001 - a dependency's own field
        shared = self.shared[required]
        return shared.get(ref) or shared.setdefault(ref, Dependency(self.ids[n], ref, required))

    def _check_shape(self, parents: list[int]) -> list[int]:
        """Exactly one root, and every task under it."""
        roots = [n for n, parent in enumerate(parents) if parent == -1]
        if len(roots) != 1 and not (not roots and UNKNOWN in parents):  # an unknown parent was told already
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
                parents[n] = UNKNOWN
        return roots

    def _check_groups(self, groups: set[int], parents: list[int]) -> None:
        full = set(parents)
        for n in groups:
            w = self.written[n]
            if w.broken & {"executor", "params", "schemas"}:
                continue  # it may be none
            if n not in full and UNKNOWN not in full:
                self._problem(
                    "a task without an executor is a group, and a group must have tasks under it", w, "executor", None
                )
            for field in ("inputs", "policies"):
                if field in w.fields:
                    self._problem("a group (no executor) cannot have any", w, field, w.fields[field])
            if w.dependencies:
                self._problem("a group (no executor) cannot have any", w, "dependencies", list(w.dependencies))

    def _check_order(self, plan: Plan, tasks: list[Task]) -> None:
        if plan.forward or sum(map(len, waves(plan, tasks))) + len(plan.groups) == plan.size:
            return
        cycle = plan.cycle()
        if cycle:
            # A task that has the dependency itself comes first; what a group waits for is under it.
            at = next(i for i, n in enumerate(cycle) if cycle[i + 1 - len(cycle)] in plan.dependencies[n])
            cycle = [*cycle[at:], *cycle[:at]]
            names = [self.written[n].label for n in cycle[:MAX_SHOWN]]
            if len(cycle) > MAX_SHOWN:
                names.append(f"… {len(cycle) - MAX_SHOWN:,} more …")
            w = self.written[cycle[0]]
            field, ref = self._edge(w, cycle[1 % len(cycle)])
            self._problem(f"depends on itself: {' → '.join([*names, w.label])}", w, field, ref, CircularDependency.code)

    def _edge(self, w: Written, n: int) -> tuple[str, str]:
        """Where a task says that it waits for another, and how."""
        for ref in w.dependencies:
            if self.refs.get(ref) == n:
                return "dependencies", ref
        return next((r.field, r.key) for r in references.find(w.fields["inputs"]) if r.key == self.keys[n])

    def _owner(self, user_id: str | None) -> str | None:
        owners: dict[str, Written] = {}
        for w in self.written:
            if "user_id" in w.fields:
                owners.setdefault(w.fields.pop("user_id"), w)
        for owner, w in list(owners.items())[1:]:
            first = next(iter(owners.values()))
            self._problem(
                f"all tasks of a tree have one owner, and {first.label!r} has another", w, "user_id", owner, InvalidTree.code
            )
        return next(iter(owners), user_id)

    def _tasks(self, plan: Plan, tree_id: str, owner: str | None) -> Iterator[Task]:
        ids, keys, parents, now = self.ids, self.keys, plan.parents, self.now
        for w in self.written:
            n = w.n
            key = keys[n]
            parent = parents[n]
            yield Task(
                n=n, id=ids[n], key=key, name=w.name or key, parent_id=None if parent < 0 else ids[parent],
                tree_id=tree_id, user_id=owner, created_at=now, updated_at=now, **w.fields,
            )  # fmt: skip


def _islands(parents: list[int]) -> Iterator[list[int]]:
    """Circles of parents: each yields its members once."""
    if all(parent < n for n, parent in enumerate(parents)):
        return
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
