"""How far groups are: the mean over the working tasks under each."""

from __future__ import annotations

from apflow_hookspecs import Task, TaskTree


def group_progress(tree: TaskTree, top: Task) -> dict[str, float]:
    """0 to 1 for each group among a task and all that is under it, by id. In one pass, whatever the depth.

    As of the tree, what counts are the working tasks of this run; a group without any is as far as it ended.
    """
    tasks = [top]
    for task in tasks:
        tasks.extend(tree.children(task))
    counts = {task.id: not task.is_group and (task.run == tree.run or not tree.run) for task in tasks}
    done = {task.id: task.progress if counts[task.id] else 0.0 for task in tasks}
    working = {task.id: int(counts[task.id]) for task in tasks}
    for task in reversed(tasks[1:]):  # so that all under a task has been added up before it is
        parent = task.parent_id or ""
        done[parent] += done[task.id]
        working[parent] += working[task.id]
    return {task.id: done[task.id] / working[task.id] for task in tasks if task.is_group and working[task.id]}
