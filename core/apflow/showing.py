"""A live tree shows what is stored: it is brought up to date with each change, after its commit."""

from __future__ import annotations

from apflow.live import LiveTree
from apflow.values import decode
from apflow_hookspecs import Change, Task, TaskStatus, Wait
from apflow_hookspecs.storage import Move

STATUS = {status.value: status for status in TaskStatus}


def show(live: LiveTree, change: Change) -> None:
    """Bring a tree up to date with a change that was stored."""
    tasks, run = live.tasks, change.run
    for move in change.moves:
        _move(tasks[move[0]], move, run)
    for n, fields in change.updates:
        for name, value in fields.items():
            if name != "resolved":
                setattr(tasks[n], name, value)
    for n, attempt, at in change.claims:
        task = tasks[n]
        task.status = TaskStatus.IN_PROGRESS
        task.attempt, task.run = attempt, run
        if task.started_at is None:  # else it goes on
            task.started_at = task.updated_at = at
    for n, at, _ in change.completions:
        task = tasks[n]
        task.status = TaskStatus.COMPLETED
        task.result = live.results.pop(n, None)
        task.progress = 1.0
        task.wait = None
        task.completed_at = task.updated_at = at
    tree = live.tree
    for name, value in change.tree.items():
        setattr(tree, name, STATUS[value] if name == "status" else value)
    tree.last_event = change.events[-1][0] if change.events else tree.last_event


def _move(task: Task, move: Move, run: int) -> None:
    _, expected, status, at, attempt, task.recoveries, result, error, wait = move
    goes_on = expected == "waiting" and attempt == task.attempt
    task.attempt = attempt
    task.status, task.run, task.updated_at = STATUS[status], run, at
    task.result = None if result is None else decode(result)
    task.error = None if error is None else decode(error)
    task.wait = None if wait is None else Wait.from_json(decode(wait))
    if status == "pending":
        task.completed_at = None
        task.started_at, task.progress = (task.started_at, task.progress) if goes_on else (None, 0.0)
    elif status == "in_progress":
        task.started_at = at
    elif status != "waiting":
        task.completed_at = at
        task.progress = 1.0 if status == "completed" else task.progress
