"""The inputs of an attempt: what the author wrote with its references resolved, and the results of the other dependencies.

They live for one attempt and are not written back; for the history they are derived once more. Results go in as copies: what
an executor does to its inputs changes nobody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from apflow import references
from apflow.calls import Call
from apflow.values import copied
from apflow_hookspecs import Json, Task, TaskFailed


class Outcomes(Protocol):
    """What tasks of one tree came to, by number."""

    def number(self, reference: str) -> int:
        """The task that a reference means."""
        ...

    def key(self, n: int) -> str:
        """A task's key."""
        ...

    def completed(self, n: int) -> bool:
        """Whether a task completed."""
        ...

    def outcome(self, n: int) -> Json:
        """Its result, else its error."""
        ...


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
        referred = {outcomes.number(found.key) for found in references.find(task.inputs)} if task.inputs else ()
        for n in needed:
            key = outcomes.key(n)
            wanted = key not in inputs and n not in referred and (accepts is None or key in accepts)
            if wanted and outcomes.completed(n):
                inputs[key] = copied(outcomes.outcome(n))
    return inputs


def _look_up(needed: Mapping[int, bool], outcomes: Outcomes, key: str, path: str) -> Json:
    """The value of a reference; null where an optional dependency has no result."""
    n = outcomes.number(key)
    if not needed[n] and not outcomes.completed(n):
        return None
    try:
        return copied(references.point(outcomes.outcome(n), path))
    except LookupError as error:
        message = f"the result of {key!r} has no part {path!r}: {error.args[0]}"
        raise TaskFailed(message, error="reference_missing", details={"key": key, "path": path}) from None
