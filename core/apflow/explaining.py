"""Why a task has not started."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from apflow import schedule as states
from apflow.keeper import Keeper
from apflow.live import LiveTree
from apflow.plan import Plan, numbered
from apflow_hookspecs import Task, TaskStatus, TaskTree

Reason = Literal[
    "settled", "started", "waiting", "group", "not_requested", "not_running",
    "dependencies", "limit", "turn", "draining", "storage",
]  # fmt: skip


@frozen
class Explanation:
    """Where a task stands, and what it needs to start.

    Args:
        task: The task.
        tree: Its tree.
        reason: `settled`, `started` and `waiting` tell the status. Of a pending task: `group`, nothing under it has started;
            `not_requested`, nothing has asked to run it; `not_running`, its execution was requested, and no process goes on
            with it; `dependencies`, `waits_for` have not settled; `limit`, no slot is free; `turn`, it starts with the next
            commit; `draining`, the engine is about to stop; `storage`, nothing can be written for the moment.
        waits_for: The tasks that it depends on and that have not settled.
        limit: The setting that holds it: `max_concurrency` or `limits.EXECUTOR`.
    """

    task: Task
    tree: TaskTree
    reason: Reason
    waits_for: tuple[Task, ...] = ()
    limit: str | None = None


async def explain(keeper: Keeper, task_id: str) -> Explanation:
    """Why a task has not started.

    Raises:
        NotFound: There is no such task.
    """
    live, tree = await keeper.find(task_id)
    task = tree[task_id]
    if task.status is not TaskStatus.PENDING:
        return Explanation(task, tree, _STANDING.get(task.status, "settled"))
    if task.is_group:
        return Explanation(task, tree, "group")
    plan = Plan.of(tree) if live is None else live.plan
    tasks = numbered(tree)
    waits_for = tuple(tasks[n] for n in plan.dependencies[task.n] if not tasks[n].status.settled)
    if live is None:
        requested = tree.open and task.run == tree.run
        return Explanation(task, tree, "not_running" if requested else "not_requested", waits_for)
    limit = keeper.schedule.limit_on(live, task.n)
    reason = _reason(keeper, live, task.n, limit)
    return Explanation(task, tree, reason, waits_for, limit if reason == "limit" else None)


_STANDING: dict[TaskStatus, Reason] = {TaskStatus.IN_PROGRESS: "started", TaskStatus.WAITING: "waiting"}


def _reason(keeper: Keeper, live: LiveTree, n: int, limit: str | None) -> Reason:
    if live.state[n] == states.HELD:
        return "not_requested"
    if live.state[n] == states.PENDING:
        return "dependencies"
    if keeper.journal.draining:
        return "draining"
    if keeper.journal.trouble is not None:
        return "storage"
    return "turn" if limit is None or live.state[n] == states.RUNNING else "limit"
