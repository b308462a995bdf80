"""Trees as drawings: a line a task, under its parent by indentation.

    root
      fetch  completed
      parse  failed     < fetch
      report skipped    < parse fetch?

A task with a status works, one without is a group. After `<` stands what it depends on; `?` marks an optional dependency, `*` a
reference.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from apflow.tree import build
from apflow_hookspecs import SETTLED, TaskStatus, TaskTree


def array_of(drawing: str, executor: str = "note") -> list[dict[str, Any]]:
    """The tasks of a drawing as their author writes them."""
    return [fields for fields, _ in _read(drawing, executor)]


def statuses_of(drawing: str) -> dict[str, str]:
    """The statuses of the working tasks of a drawing, by key."""
    return {fields["id"]: status for fields, status in _read(drawing, "note") if status}


def drawn(drawing: str) -> TaskTree:
    """The tree of a drawing, its tasks in the states that they have there."""
    draft = build(array_of(drawing), now=1)
    assert draft.problems == ()
    for key, status in statuses_of(drawing).items():
        put(draft.tree, key, status)
    return draft.tree


def put(tree: TaskTree, key: str, status: str) -> None:
    """Bring a task into a state."""
    task = tree.tasks[key]
    task.status = TaskStatus(status)
    if task.status in SETTLED:
        task.completed_at = 10 + task.n
    if task.status is TaskStatus.COMPLETED:
        task.result, task.progress, task.attempt, task.started_at = f"{key} was here", 1.0, 1, 5 + task.n
    elif task.status is TaskStatus.FAILED:
        task.error, task.attempt, task.started_at = {"code": "failed", "message": "no", "details": None}, 2, 5 + task.n


def _read(drawing: str, executor: str) -> list[tuple[dict[str, Any], str | None]]:
    found: list[tuple[dict[str, Any], str | None]] = []
    above: list[str] = []
    for line in filter(None, dedent(drawing).splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        words, _, needed = line.partition("<")
        key, *status = words.split()
        del above[depth:]
        fields = {"id": key, "parent_id": above[-1] if above else None}
        if status:
            names = needed.split()
            listed = [{"id": name.rstrip("?"), "required": not name.endswith("?")} for name in names if name[-1] != "*"]
            inputs = {name: {"$from": name} for name in (name[:-1] for name in names if name[-1] == "*")}
            fields |= {"executor": executor, "dependencies": listed, "inputs": inputs}
        above.append(key)
        found.append((fields, status[0] if status else None))
    return found
