"""What changing a task's fields comes to: which may change, and what is other than before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from apflow.fields import CHANGEABLE, FIXED, KNOWN, unknown_field
from apflow_hookspecs import Problem, Task, TaskTree
from apflow_hookspecs.errors import InvalidParams, InvalidTask


def refuse_unchangeable(task: Task, fields: Mapping[str, Any]) -> None:
    """Refuse fields that nobody can change.

    Raises:
        InvalidParams: There are none.
        InvalidTask: There are such fields.
    """
    if not fields:
        raise InvalidParams(f"task {task.key!r}: no field is given that is to change")
    problems = [Problem(_rule(name), task.key, name, value) for name, value in fields.items() if name not in CHANGEABLE]
    if "executor" in fields and (fields["executor"] is None) is not task.is_group:
        rule = "a group stays one, and has no executor" if task.is_group else "a task that works keeps an executor"
        problems.append(Problem(rule, task.key, "executor", fields["executor"]))
    if problems:
        raise InvalidTask(problems=tuple(problems))


def _rule(name: str) -> str:
    if name in FIXED:
        return "stays as it was created"
    return "is kept by the engine" if name in KNOWN else str(unknown_field(name))


def changes(task: Task, new: Task) -> dict[str, Any]:
    """The author's fields of a task that are other now, with their new values."""
    return {name: value for name in CHANGEABLE if (value := getattr(new, name)) != getattr(task, name)}


def changed_tree(tree: TaskTree, task: Task, changed: Mapping[str, Any]) -> TaskTree:
    """A tree with other fields of one task; both stay as they are."""
    return evolve(tree, tasks={**tree.tasks, task.key: evolve(task, **changed)})
