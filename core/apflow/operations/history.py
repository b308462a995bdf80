"""The history of a task: every attempt of every run, with what went in, what came out, and which plugin ran it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from apflow.inputs import gather
from apflow.operations.access import visible_tree
from apflow.operations.reading import OneTask
from apflow.plan import Plan, numbered
from apflow.values import decode
from apflow_hookspecs import Attempt, Caller, Json, Storage, Task, TaskFailed, TaskStatus, TaskTree, operation, rfc3339
from apflow_hookspecs.errors import NotFound

if TYPE_CHECKING:
    from apflow.engine import Engine


class AttemptView(TypedDict):
    """One attempt. `inputs` are those that it ran with, secrets unresolved; `plugin` is who provided the executor.

    The `error` of one that was tried again has the seconds between as `retry_after`.
    """

    run: int
    attempt: int
    outcome: str
    started_at: str | None
    ended_at: str | None
    inputs: Json
    result: Json
    error: Json
    plugin: str | None


class History(TypedDict):
    """The attempts of a task, oldest first."""

    task_id: str
    attempts: list[AttemptView]


class Past:
    """What the tasks of a tree had come to in one of its runs.

    Args:
        tree: As it stands.
        plan: Its order graph.
        attempts: Of all its tasks, those that are no longer in the tasks' rows.
        run: The run.
    """

    def __init__(self, tree: TaskTree, plan: Plan, attempts: Sequence[Attempt], run: int) -> None:
        self.tree = tree
        self.tasks = numbered(tree)
        self.plan = plan
        self._run = run
        self._last_attempts = {attempt.task_id: attempt for attempt in attempts if attempt.run <= run}

    def completed(self, n: int) -> bool:
        """Whether a task had completed."""
        last = self._last(n)
        return last is not None and (last.outcome if isinstance(last, Attempt) else last.status) == TaskStatus.COMPLETED

    def own(self, n: int) -> Json:
        """What a task that works had come to: its result, else its error."""
        last = self._last(n)
        if last is None:
            return None
        return last.result if self.completed(n) else last.error

    def _last(self, n: int) -> Task | Attempt | None:
        """As it stood then; None where it had not started."""
        task = self.tasks[n]
        return task if task.run <= self._run else self._last_attempts.get(task.id)


@operation("tasks.history", scope="read", params=OneTask, result=History, errors=(NotFound,))
async def history(engine: Engine, caller: Caller, params: OneTask) -> History:
    """Every attempt of a task in every run, oldest first, with inputs, outcome, times and the plugin that ran it."""
    tree = await visible_tree(engine, caller, params.task_id)
    task, plan = tree[params.task_id], Plan.of(tree)
    attempts = await engine.storage.attempts(tree.id)
    own = [attempt for attempt in attempts if attempt.task_id == task.id]
    told = own and (own[-1].run, own[-1].attempt, own[-1].outcome) == (task.run, task.attempt, "retried")
    if task.attempt and not told:  # a task that waits for its next attempt still bears the number of the last one
        resolved = await engine.storage.resolved(tree.id)
        own.append(_current(task, resolved.get(task.n)))
    views: list[AttemptView] = []
    for attempt in own:
        plugins = await _plugins(engine.storage, tree, attempt.run)
        inputs = attempt.inputs
        if inputs is None:
            inputs = _derived(task, plan, Past(tree, plan, attempts, attempt.run))
        views.append({
            "run": attempt.run,
            "attempt": attempt.attempt,
            "outcome": attempt.outcome,
            "started_at": rfc3339(attempt.started_at),
            "ended_at": rfc3339(attempt.ended_at) if attempt.ended_at else None,
            "inputs": inputs,
            "result": attempt.result,
            "error": attempt.error,
            "plugin": plugins.get(task.executor or ""),
        })  # fmt: skip
    return {"task_id": task.id, "attempts": views}


def _current(task: Task, resolved: bytes | None) -> Attempt:
    return Attempt(
        task_id=task.id,
        attempt=task.attempt,
        run=task.run,
        started_at=task.started_at,
        ended_at=task.completed_at or 0,
        outcome=task.status.value,
        inputs=None if resolved is None else decode(resolved),
        result=task.result,
        error=task.error,
    )


def _derived(task: Task, plan: Plan, past: Past) -> Json:
    try:
        return gather(task, plan.dependencies[task.n], past, None)
    except TaskFailed:
        return None  # a part that it refers to was not there: that is why it failed


async def _plugins(storage: Storage, tree: TaskTree, run: int) -> Mapping[str, str]:
    """Who provided the executors of a run: its first event tells, which is found by halving, for runs only grow."""
    if not run:
        return {}  # what a copy carried over ran elsewhere
    low, high = 0, tree.last_event
    while low < high:
        middle = (low + high) // 2
        (event,) = await storage.events(tree.id, middle, 1)
        if event.run < run:
            low = middle + 1
        else:
            high = middle
    first = await storage.events(tree.id, low, 2)  # a tree that was created to be run begins with its creation
    plugins: Mapping[str, str] = next(((event.data or {})["plugins"] for event in first if event.type == "tree_started"), {})
    return plugins


OPERATIONS = (history,)
