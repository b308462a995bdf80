"""What its author wrote of a task that is stored, as an object that the builder takes: `{"key": …, "executor": …, …}`."""

from __future__ import annotations

from typing import Any

from apflow_hookspecs import Task, TaskTree

VALUES = ("executor", "priority", "timeout", "on_crash", "user_id")
OBJECTS = ("inputs", "params", "policies", "schemas", "labels")
DEFAULTS: dict[str, Any] = {"priority": 2}

Authored = dict[str, Any]


def authored(task: Task, tree: TaskTree) -> Authored:
    """The author's fields of a task that are not at their default; other tasks, and itself, are named by their keys.

    Its values are the task's own: to be read, not changed.

    Args:
        task: Of the tree.
        tree: As the builder made it.
    """
    written = {name: getattr(task, name) for name in VALUES if getattr(task, name) != DEFAULTS.get(name)}
    written |= {name: dict(value) for name in OBJECTS if (value := getattr(task, name))}
    if task.dependencies:
        written["dependencies"] = [{"id": tree[d.task_id].key, "required": d.required} for d in task.dependencies]
    return {**placed(task, tree), **written}


def placed(task: Task, tree: TaskTree) -> Authored:
    """What a task is called, and where in the tree it stands."""
    place: Authored = {"key": task.key}
    if task.name != task.key:
        place["name"] = task.name
    if task.parent_id is not None:
        place["parent_id"] = tree[task.parent_id].key
    return place
