"""The inputs of an attempt: what the author wrote with its references resolved, and the results of the other dependencies.

They live for one attempt and are not written back; for the history they are derived once more. Results go in as copies: what
an executor does to its inputs changes nobody else's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from apflow import references
from apflow.calls import Call
from apflow.plan import Plan
from apflow.values import copied
from apflow_hookspecs import Json, Task, TaskFailed, TaskTree


class Outcomes(Protocol):
    """What the tasks of a tree came to, by number."""

    tree: TaskTree
    plan: Plan

    @property
    def tasks(self) -> Sequence[Task]:
        """By number."""
        ...

    def completed(self, n: int) -> bool:
        """Whether a task completed."""
        ...

    def own(self, n: int) -> Json:
        """What a task that works came to: its result, else its error."""
        ...


def outcome(outcomes: Outcomes, n: int) -> Json:
    """What a task came to, for those that depend on it; of a group what its tasks did, by key."""
    groups = outcomes.plan.groups
    if n not in groups:
        return outcomes.own(n)
    gathered: dict[str, Json] = {}
    still_open = [(n, gathered)]
    while still_open:
        group, target = still_open.pop()
        for child in outcomes.plan.children[group]:
            inner: Json = {} if child in groups else outcomes.own(child)
            target[outcomes.tasks[child].key] = inner
            if child in groups:
                still_open.append((child, inner))
    return gathered


def gather(task: Task, needed: Mapping[int, bool], outcomes: Outcomes, call: Call | None) -> dict[str, Any]:
    """The inputs of a task.

    Args:
        task: Whose.
        needed: What it waits for → whether that must complete.
        outcomes: What these came to.
        call: Of its executor, which says what it takes; None takes anything.

    Raises:
        TaskFailed: A part of a result that is referred to is not there (`reference_missing`).
    """
    look_up = partial(_look_up, needed, outcomes)
    inputs: dict[str, Any] = references.resolve(task.inputs, look_up) if task.inputs else {}
    accepts = None if call is None else call.accepts
    if needed and (accepts is None or not accepts <= inputs.keys()):
        referred = {outcomes.tree.tasks[found.key].n for found in references.find(task.inputs)} if task.inputs else ()
        for n in needed:
            key = outcomes.tasks[n].key
            wanted = key not in inputs and n not in referred and (accepts is None or key in accepts)
            if wanted and outcomes.completed(n):
                inputs[key] = copied(outcome(outcomes, n))
    return inputs


def _look_up(needed: Mapping[int, bool], outcomes: Outcomes, key: str, path: str) -> Json:
    """The value of a reference; null where an optional dependency has no result."""
    n = outcomes.tree.tasks[key].n
    if not needed[n] and not outcomes.completed(n):
        return None
    try:
        return copied(references.point(outcome(outcomes, n), path))
    except LookupError as error:
        message = f"the result of {key!r} has no part {path!r}: {error.args[0]}"
        raise TaskFailed(message, error="reference_missing", details={"key": key, "path": path}) from None
