"""Recovery: clearing up after a process that is gone."""

from __future__ import annotations

import asyncio

from attrs import frozen

from apflow.keeper import Keeper
from apflow.live import LiveTree
from apflow_hookspecs import Task, TaskStatus, TaskTree


@frozen
class Recovered:
    """What an earlier process left behind.

    Args:
        trees: Trees whose execution was requested and has not ended.
        tasks: Tasks among them that it left in progress.
        ended: The trees that came to their end by that, as nothing of them may run again.
    """

    trees: int
    tasks: int
    ended: tuple[TaskTree, ...] = ()


async def recover(keeper: Keeper) -> Recovered:
    """What an earlier process left in progress goes back to pending, in one transaction.

    A task that must not run twice fails instead, and so does one that was cut off too often; one whose cancellation was
    acknowledged is cancelled. None of it runs again before it is resumed.
    """
    trees = [tree for tree_id in await keeper.storage.open_trees() if (tree := await keeper.storage.tree(tree_id))]
    cut_off = {tree.id: tasks for tree in trees if (tasks := _in_progress(tree))}
    lives = [await keeper.own(tree) for tree in trees if tree.id in cut_off]
    for live in lives:
        live.prepared.update(await keeper.storage.resolved(live.tree.id))
    cancelled = [await _cancelled(keeper, live) for live in lives]
    for live, covered in zip(lives, cancelled, strict=True):
        keeper.schedule.add(live)
        for task in cut_off[live.tree.id]:
            if task.n in covered:
                keeper.runner.refuse(live, task.n)
            else:
                keeper.runner.lose(live, task.n, "the process that ran it is gone")
        keeper.schedule.remove(live)
    await asyncio.gather(*(keeper.journal.stored(live.tree.id) for live in lives))
    for live in lives:
        keeper.forget(live)
    ended = tuple(tree for tree in trees if not tree.open)
    return Recovered(len(trees) - len(ended), sum(map(len, cut_off.values())), ended)


def _in_progress(tree: TaskTree) -> list[Task]:
    return [task for task in tree if task.status is TaskStatus.IN_PROGRESS and task.executor is not None]


async def _cancelled(keeper: Keeper, live: LiveTree) -> set[int]:
    """The tasks of a tree whose cancellation was requested in this run."""
    covered: set[int] = set()
    after = 0
    while page := await keeper.storage.events(live.tree.id, after):
        for event in page:
            covers = event.type == "cancel_requested" and event.run == live.run
            if covers and event.task_id is not None and event.task_id in live.tree:
                covered.update(live.plan.subtree(live.tree[event.task_id].n))
        after = page[-1].seq
    return covered
