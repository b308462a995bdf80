"""How tasks, trees, events and problems look as JSON, the same from every front end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from apflow.operations.progress import group_progress
from apflow_hookspecs import EMPTY, Dependency, Event, Json, Problem, Task, TaskTree, Wait, rfc3339
from apflow_hookspecs.errors import TooLarge

MAX_NESTING = 200
"""Levels of a nested tree: what common JSON readers and writers, ours included, take without running out of stack."""


class DependencyView(TypedDict):
    """What a task waits for."""

    task_id: str
    key: str
    required: bool


class WaitView(TypedDict):
    """For what a waiting task waits; `policy` is the one that holds it back, null where it is the executor or a retry."""

    kind: Literal["input", "until", "retry"]
    until: str | None
    prompt: str | None
    schema: dict[str, Any] | None
    answer: Json
    policy: str | None


class TreeState(TypedDict):
    """How a tree stands, beside its root; the progress only where the whole tree was read, the instant only when archived."""

    id: str
    status: str
    progress: NotRequired[float]
    run: int
    archived_at: NotRequired[str]


class TaskView(TypedDict):
    """A task; instants are RFC 3339 in UTC, durations seconds."""

    id: str
    key: str
    name: str
    parent_id: str | None
    tree_id: str
    user_id: str | None
    executor: str | None
    inputs: dict[str, Any]
    params: dict[str, Any]
    policies: dict[str, Any]
    schemas: dict[str, Any]
    dependencies: list[DependencyView]
    priority: int
    timeout: float | None
    on_crash: Literal["rerun", "fail"] | None
    labels: dict[str, Any]
    status: str
    wait: WaitView | None
    progress: float
    result: Json
    error: dict[str, Any] | None
    run: int
    attempt: int
    recoveries: int
    created_at: str | None
    updated_at: str | None
    started_at: str | None
    completed_at: str | None
    original_task_id: str | None
    tree: NotRequired[TreeState]


class NestedTaskView(TaskView):
    """A task with the tasks under it."""

    children: list[NestedTaskView]


class TreeView(TypedDict):
    """A tree with its tasks in the order of creation."""

    id: str
    status: str
    progress: float
    run: int
    archived_at: NotRequired[str]
    tasks: list[TaskView]
    warnings: NotRequired[list[str]]
    last_event: NotRequired[int]


class EventView(TypedDict):
    """One thing that happened in a tree; `seq` counts from 1 without gaps."""

    seq: int
    tree_id: str
    run: int
    task_id: str | None
    type: str
    status: str
    at: str | None
    attempt: int
    actor: str | None
    data: dict[str, Any] | None


class ProblemView(TypedDict):
    """One thing that is wrong with a task or a tree; `value` is shortened text."""

    message: str
    task: str | None
    field: str | None
    value: str | None
    rule: str
    code: int


def task_view(task: Task, progress: Mapping[str, float] = EMPTY) -> TaskView:
    """A task as JSON; `progress` tells that of groups, by id, where what is under them is known."""
    return {
        "id": task.id,
        "key": task.key,
        "name": task.name,
        "parent_id": task.parent_id,
        "tree_id": task.tree_id,
        "user_id": task.user_id,
        "executor": task.executor,
        "inputs": dict(task.inputs),
        "params": dict(task.params),
        "policies": dict(task.policies),
        "schemas": dict(task.schemas),
        "dependencies": [_dependency(dependency) for dependency in task.dependencies],
        "priority": task.priority,
        "timeout": task.timeout,
        "on_crash": task.on_crash,
        "labels": dict(task.labels),
        "status": task.status.value,
        "wait": None if task.wait is None else wait_view(task.wait),
        "progress": progress.get(task.id, task.progress),
        "result": task.result,
        "error": _object(task.error),
        "run": task.run,
        "attempt": task.attempt,
        "recoveries": task.recoveries,
        "created_at": rfc3339(task.created_at),
        "updated_at": rfc3339(task.updated_at),
        "started_at": rfc3339(task.started_at),
        "completed_at": rfc3339(task.completed_at),
        "original_task_id": task.original_task_id,
    }


def root_view(task: Task, state: TreeState | None, progress: Mapping[str, float] = EMPTY) -> TaskView:
    """A task as JSON, with how its tree stands where it is the root."""
    view = task_view(task, progress)
    if state is not None:
        view["tree"] = state
    return view


def whole_view(tree: TaskTree, task: Task) -> TaskView:
    """A task of a tree as JSON, with how far it is where it is a group, and how the tree stands where it is the root."""
    return root_view(task, tree_state(tree) if task.id == tree.id else None, group_progress(tree, task))


def tree_record(tree: TaskTree) -> TreeState:
    """How a tree stands, as far as its record alone tells."""
    state: TreeState = {"id": tree.id, "status": tree.status.value, "run": tree.run}
    if (archived_at := rfc3339(tree.archived_at)) is not None:
        state["archived_at"] = archived_at
    return state


def tree_state(tree: TaskTree) -> TreeState:
    """How a tree stands, of one that has its tasks."""
    state = tree_record(tree)
    state["progress"] = tree.progress
    return state


def tree_view(tree: TaskTree, warnings: Sequence[Problem] = ()) -> TreeView:
    """A tree with all its tasks as JSON; `warnings` stand beside them where there are any."""
    progress = group_progress(tree, tree.root)
    view: TreeView = {
        "id": tree.id,
        "status": tree.status.value,
        "progress": tree.progress,
        "run": tree.run,
        "tasks": [task_view(task, progress) for task in tree],
    }
    if (archived_at := rfc3339(tree.archived_at)) is not None:
        view["archived_at"] = archived_at
    if warnings:
        view["warnings"] = [str(warning) for warning in warnings]
    return view


def nested_view(tree: TaskTree, top: Task) -> NestedTaskView:
    """A task of a tree as JSON, with all that is under it nested as `children`.

    Raises:
        TooLarge: It is nested deeper than `MAX_NESTING` levels, which most JSON readers cannot take.
    """
    progress = group_progress(tree, top)
    nested = _childless(top, progress)
    if top.id == tree.id:
        nested["tree"] = tree_state(tree)
    level = [(top, nested)]
    for _ in range(MAX_NESTING):
        level = list(_grow(tree, level, progress))
        if not level:
            return nested
    raise TooLarge(f"task {top.key!r} is nested deeper than {MAX_NESTING} levels; read it level by level with tasks.children")


def event_view(event: Event) -> EventView:
    """An event as JSON."""
    view: Any = event.as_json()
    shown: EventView = view
    return shown


def wait_view(wait: Wait) -> WaitView:
    """A wait as JSON."""
    view: Any = wait.shown()
    shown: WaitView = view
    return shown


def problem_view(problem: Problem) -> ProblemView:
    """A problem as JSON; its value may be anything, so it is shown as shortened text."""
    view: Any = problem.as_json()
    shown: ProblemView = view
    return shown


def encode(value: Json) -> bytes:
    """JSON text in one line, UTF-8."""
    return msgspec.json.encode(value)


def pretty(value: Json) -> bytes:
    """JSON text for people: indented by two spaces, UTF-8."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def _dependency(dependency: Dependency) -> DependencyView:
    return {"task_id": dependency.task_id, "key": dependency.key, "required": dependency.required}


def _object(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def _childless(task: Task, progress: Mapping[str, float]) -> NestedTaskView:
    view: Any = task_view(task, progress)
    view["children"] = []
    nested: NestedTaskView = view
    return nested


def _grow(
    tree: TaskTree, level: Iterable[tuple[Task, NestedTaskView]], progress: Mapping[str, float]
) -> Iterable[tuple[Task, NestedTaskView]]:
    for task, view in level:
        for child in tree.children(task):
            nested = _childless(child, progress)
            view["children"].append(nested)
            yield child, nested
