"""The `tasks.explain` operation: why a task has not started, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

from apflow.config import Settings
from apflow.explaining import Explanation
from apflow.operations.access import visible_tree
from apflow.operations.reading import OneTask
from apflow.operations.views import WaitView, wait_view
from apflow_hookspecs import Caller, Task, TaskStatus, TaskTree, operation, rfc3339
from apflow_hookspecs.errors import NotFound, shortened

if TYPE_CHECKING:
    from apflow.engine import Engine

SHOWN = 5
"""Tasks that the sentence names."""


class AwaitedView(TypedDict):
    """A task that has to settle first; one that is required has to complete."""

    task_id: str
    key: str
    status: str
    required: bool


class ExplanationView(TypedDict):
    """Why a task has not started.

    `reason` is one of `settled`, `started`, `waiting`, and, of a pending task, `group` (nothing under it has started),
    `not_requested`, `not_running` (no process runs its tree), `dependencies`, `limit`, `turn` (it starts with the next commit),
    `draining` and `storage` (nothing can be written for now). `limit` is the setting that holds it.
    """

    task_id: str
    key: str
    status: str
    reason: str
    message: str
    waits_for: list[AwaitedView]
    limit: str | None
    wait: WaitView | None


@operation("tasks.explain", scope="read", params=OneTask, result=ExplanationView, errors=(NotFound,))
async def explain(engine: Engine, caller: Caller, params: OneTask) -> ExplanationView:
    """Why a task has not started: what it waits for, which limit holds it, or that nothing has asked to run it."""
    await visible_tree(engine, caller, params.task_id)
    found = await engine.manager.explain(params.task_id)
    task = found.task
    return {
        "task_id": task.id,
        "key": task.key,
        "status": task.status.value,
        "reason": found.reason,
        "message": sentence(found, engine.settings),
        "waits_for": [_awaited(task, other) for other in found.waits_for],
        "limit": found.limit,
        "wait": None if task.wait is None or found.reason != "waiting" else wait_view(task.wait),
    }


def sentence(found: Explanation, settings: Settings) -> str:
    """An explanation in a sentence, which names the task, what holds it, and what can be done."""
    said = _limited(found, settings) if found.reason == "limit" else _SAID[found.reason](found)
    return f"{'group' if found.task.is_group else 'task'} {found.task.key!r} {said}"


def _awaited(task: Task, other: Task) -> AwaitedView:
    return {"task_id": other.id, "key": other.key, "status": other.status.value, "required": _requires(task, other)}


def _requires(task: Task, other: Task) -> bool:
    """What only a reference waits for is required."""
    return next((dependency.required for dependency in task.dependencies if dependency.task_id == other.id), True)


def _settled(found: Explanation) -> str:
    task = found.task
    if task.status is TaskStatus.COMPLETED:
        return "has completed"
    message = "" if task.error is None else f": {task.error['message']}"
    return f"has ended as {task.status}{message}{_run_it(found)}"


def _started(found: Explanation) -> str:
    if found.task.is_group:
        return "is in progress: something under it has started, and not all of it has settled"
    return f"is in progress: attempt {found.task.attempt} runs since {rfc3339(found.task.started_at)}"


def _waiting(found: Explanation) -> str:
    task, wait = found.task, found.task.wait
    if wait is None:
        return "waits"
    at = rfc3339(wait.at)
    if wait.kind == "until":
        return f"waits until {at}" if wait.policy is None else f"is held back: policy {wait.policy!r} lets it go on at {at}"
    if wait.kind == "retry":
        failure = "" if task.error is None else f": {task.error['message']}"
        return f"waits for its next attempt at {at}; attempt {task.attempt} failed{failure}"
    until = "" if at is None else f", until {at}"
    return f"waits for an answer to {shortened(wait.prompt)}{until}; `apflow tasks answer {task.id}` gives it"


def _not_begun(found: Explanation) -> str:
    return f"has not begun: nothing under it has started{_look_at(_open_under(found.tree, found.task))}"


def _not_requested(found: Explanation) -> str:
    return f"was not asked to run{_run_it(found)}"


def _not_running(found: Explanation) -> str:
    if found.waits_for:
        return f"{_depends(found)}; no process runs its tree, and {_resume(found)}"
    return f"was asked to run, and no process runs its tree; {_resume(found)}"


def _depends(found: Explanation) -> str:
    awaited = found.waits_for
    if not awaited:
        return "is pending, though all that it depends on has settled"
    named = [f"{other.key!r} ({_standing(found.task, other)})" for other in awaited[:SHOWN]]
    if len(awaited) > SHOWN:
        named.append(f"{len(awaited) - SHOWN:,} more")
    listed = " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)
    moves = any(other.status is TaskStatus.IN_PROGRESS for other in awaited)
    return f"waits for {listed}{'' if moves else _look_at(awaited[0])}"


def _limited(found: Explanation, settings: Settings) -> str:
    executor = found.task.executor or ""
    if found.limit == "max_concurrency":
        full = f"as many tasks run as may at once (max_concurrency = {settings.max_concurrency})"
    else:
        full = f"as many tasks of executor {executor!r} run as may at once ({found.limit} = {settings.limits[executor]})"
    return f"is ready, and {full}; it starts when one of them has ended"


def _turn(_: Explanation) -> str:
    return "is ready, and starts with the next commit"


def _draining(found: Explanation) -> str:
    return f"is ready, but the engine is about to stop and starts nothing more; {_resume(found)} afterwards"


def _unwritable(_: Explanation) -> str:
    return "is ready, but nothing can be written to the storage for now; `apflow doctor` tells more"


_SAID: Mapping[str, Callable[[Explanation], str]] = {
    "settled": _settled,
    "started": _started,
    "waiting": _waiting,
    "group": _not_begun,
    "not_requested": _not_requested,
    "not_running": _not_running,
    "dependencies": _depends,
    "turn": _turn,
    "draining": _draining,
    "storage": _unwritable,
}


def _run_it(found: Explanation) -> str:
    task_id, tree = found.task.id, found.tree
    if tree.archived_at is not None:
        return f"; its tree is archived, and `apflow tasks copy {task_id}` makes a copy that can run"
    return f"; {'once its tree has ended, ' if tree.open else ''}`apflow tasks execute {task_id}` runs it"


def _resume(found: Explanation) -> str:
    return f"`apflow resume {found.tree.id}` goes on with it"


def _standing(task: Task, other: Task) -> str:
    status = other.status.replace("_", " ")
    return status if _requires(task, other) else f"{status}, optional"


def _look_at(other: Task | None) -> str:
    return "" if other is None else f"; `apflow tasks explain {other.id}` tells why"


def _open_under(tree: TaskTree, group: Task) -> Task | None:
    """The first working task under a group that has not settled."""
    under = tree.children(group).copy()
    for task in under:
        if not task.is_group and not task.status.settled:
            return task
        under.extend(tree.children(task))
    return None


OPERATIONS = (explain,)
