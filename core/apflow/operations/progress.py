"""How far groups are: the mean over the working tasks under each."""

from __future__ import annotations

from apflow_hookspecs import Task, TaskTree


def group_progress(tree: TaskTree, top: Task) -> dict[str, float]:
    """0 to 1 for each group among a task and all that is under it, by id. In one pass, whatever the depth."""
    tasks = [top]
    for task in tasks:
        tasks.extend(tree.children(task))
    done = {task.id: 0.0 if task.is_group else task.progress for task in tasks}
    working = {task.id: int(not task.is_group) for task in tasks}
    for task in reversed(tasks[1:]):  # so that all under a task has been added up before it is
        parent = task.parent_id or ""
        done[parent] += done[task.id]
        working[parent] += working[task.id]
    return {task.id: done[task.id] / working[task.id] for task in tasks if task.is_group and working[task.id]}
