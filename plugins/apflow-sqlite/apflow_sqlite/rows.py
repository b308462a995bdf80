"""Tasks and trees as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import msgspec.json

from apflow_hookspecs import Dependency, Task, TaskStatus, TaskTree, Wait

STATUSES = (
    TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.WAITING,
    TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED,
)  # fmt: skip
"""By the number that the file holds: a small integer is written 15 to 25 % faster than a word."""
CODES: Mapping[str, int] = {status: code for code, status in enumerate(STATUSES)}

SHIFT = 32
NUMBERS = (1 << SHIFT) - 1
"""A row is `tree number << SHIFT | n`: this mask leaves n."""

DOCUMENTS = ("inputs", "params", "policies", "schemas", "labels")
SPEC = (*DOCUMENTS, "dependencies", "priority", "timeout", "on_crash")
"""Author's fields that stand in the JSON of `spec` where they differ from their defaults."""
_PRIORITY = 2

Row = tuple[Any, ...]
Names = Mapping[int, Dependency]
"""The plain dependency on each task, by row: it holds id and key, and one serves all dependents."""

decode = msgspec.json.decode

_STATE = attrgetter(
    "status", "run", "attempt", "recoveries", "progress", "started_at", "completed_at", "wait", "error", "result"
)  # fmt: skip
_INITIAL = (TaskStatus.PENDING, 1, 0, 0, 0.0, None, None, None, None, None)


def _plain(value: Any) -> dict[str, Any]:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{value!r} is not a JSON value")


encode = msgspec.json.Encoder(enc_hook=_plain).encode


def encoded(value: Any) -> bytes | None:
    """JSON, or NULL for None."""
    return None if value is None else encode(value)


def decoded(raw: bytes | None) -> Any:
    """The JSON value, or None for NULL."""
    return None if raw is None else decode(raw)


def span(number: int) -> tuple[int, int]:
    """The first and the last row of a tree."""
    return number << SHIFT, number << SHIFT | NUMBERS


def tree_row(tree: TaskTree) -> Row:
    """A tree's record, as it is inserted."""
    return (
        tree.id, tree.root.n, tree.user_id, tree.origin, tree.context_id, CODES[tree.status], tree.status_at, tree.run,
        tree.requested_at, tree.created_at, tree.archived_at, tree.last_event, tree.owner, tree.token,
    )  # fmt: skip


def task_rows(tree: TaskTree, number: int, *, new: bool) -> Iterator[Row]:
    """The rows of a tree's tasks one by one: of those in their initial state, whose rows are narrow, or of the others."""
    base = number << SHIFT
    by_id = {task.id: task for task in tree}
    for task in tree:
        state = _STATE(task)
        if (state == _INITIAL and task.updated_at <= tree.created_at) is new:
            parent = None if task.parent_id is None else by_id[task.parent_id].n
            row = (
                base | task.n, task.id, None if task.key == task.id else task.key, None if task.name == task.key else task.name,
                parent, task.executor, task.original_task_id, _spec(task, tree, by_id),
            )  # fmt: skip
            yield row if new else row + _state_row(state, task.updated_at)


def _state_row(state: Row, updated_at: int) -> Row:
    status, run, attempt, recoveries, progress, started_at, completed_at, wait, error, result = state
    documents = (None if wait is None else encode(wait.as_json()), encoded(error), encoded(result))
    return (CODES[status], run, attempt, recoveries, progress, started_at, completed_at, updated_at, *documents)


def _spec(task: Task, tree: TaskTree, by_id: Mapping[str, Task]) -> bytes | None:
    spec = _documents(task)
    if task.dependencies:
        spec["dependencies"] = _edges(task.dependencies, by_id)
    if task.priority != _PRIORITY:
        spec["priority"] = task.priority
    if task.timeout is not None:
        spec["timeout"] = task.timeout
    if task.on_crash is not None:
        spec["on_crash"] = task.on_crash
    if task.user_id != tree.user_id:
        spec["user_id"] = task.user_id
    return encode(spec) if spec else None


def _documents(task: Task) -> dict[str, Any]:
    # One by one: most tasks of most trees have one of them, and a loop over their names takes twice as long.
    documents: dict[str, Any] = {}
    if task.inputs:
        documents["inputs"] = task.inputs
    if task.params:
        documents["params"] = task.params
    if task.policies:
        documents["policies"] = task.policies
    if task.schemas:
        documents["schemas"] = task.schemas
    if task.labels:
        documents["labels"] = task.labels
    return documents


def _edges(dependencies: Iterable[Dependency], by_id: Mapping[str, Task]) -> list[int | list[Any]]:
    edges: list[int | list[Any]] = []
    for each in dependencies:
        target = by_id[each.task_id]
        edges.append(target.n if each.required and each.key == target.key else edge(each, target.n, target.key))
    return edges


def edge(dependency: Dependency, n: int, key: str) -> int | list[Any]:
    """A dependency on task `n`, whose key is `key`: n, or [n, required, the author's word for it where it is not the key]."""
    if dependency.key != key:
        return [n, dependency.required, dependency.key]
    return n if dependency.required else [n, False]


def merge(spec: bytes | None, fields: Mapping[str, Any]) -> bytes | None:
    """A spec in which some fields have other values; None and empty ones are left out."""
    merged = {**(decode(spec) if spec else {}), **fields}
    kept = {name: value for name, value in merged.items() if name == "user_id" or value not in (None, {}, [])}
    return encode(kept) if kept else None


def tree_of(row: Row) -> TaskTree:
    """A tree's record, without tasks."""
    (
        _, id, user_id, origin, context_id, status, status_at, run,
        requested_at, created_at, archived_at, last_event, owner, token,
    ) = row  # fmt: skip
    return TaskTree(
        id=id, tasks={}, user_id=user_id, origin=origin, context_id=context_id, status=STATUSES[status], status_at=status_at,
        run=run, requested_at=requested_at, created_at=created_at, archived_at=archived_at, last_event=last_event,
        owner=owner, token=token,
    )  # fmt: skip


def named_by(row: Row) -> Iterator[int]:
    """The rows of the tasks that a task's row refers to: its parent and its dependencies."""
    base, parent, spec = row[0] & ~NUMBERS, row[4], row[7]
    if parent is not None:
        yield base | parent
    if spec is not None and b'"dependencies"' in spec:
        for each in decode(spec).get("dependencies", ()):
            yield base | _target(each)


def task_of(row: Row, tree: TaskTree, names: Names) -> Task:
    """A task, the reader's own; dependencies on tasks that were deleted are gone with these."""
    (
        place, id, key, name, parent, executor, original, spec, status, run, attempt, recoveries, progress,
        started_at, completed_at, changed_at, wait, error, result,
    ) = row  # fmt: skip
    base, key = place & ~NUMBERS, id if key is None else key
    author = decode(spec) if spec is not None else {}
    edges = author.pop("dependencies", ())
    author.setdefault("user_id", tree.user_id)
    above = None if parent is None else names.get(base | parent)
    return Task(
        n=place & NUMBERS, id=id, key=key, name=key if name is None else name,
        parent_id=None if above is None else above.task_id, tree_id=tree.id, executor=executor,
        dependencies=_dependencies(edges, base, names) if edges else (),
        original_task_id=original, status=STATUSES[status], wait=Wait.from_json(decode(wait)) if wait else None,
        progress=progress, result=decoded(result), error=decoded(error), run=run, attempt=attempt, recoveries=recoveries,
        created_at=tree.created_at, updated_at=max(tree.created_at, started_at or 0, completed_at or 0, changed_at or 0),
        started_at=started_at, completed_at=completed_at, **author,
    )  # fmt: skip


def _dependencies(edges: list[Any], base: int, names: Names) -> tuple[Dependency, ...]:
    found = []
    for each in edges:
        target = names.get(base | _target(each))
        if target is not None:
            found.append(target if isinstance(each, int) else _varied(target, *each[1:]))
    return tuple(found)


def _varied(target: Dependency, required: bool, key: str | None = None) -> Dependency:  # noqa: FBT001 - as it is stored
    return Dependency(target.task_id, target.key if key is None else key, required)


def _target(each: int | list[Any]) -> int:
    return each if isinstance(each, int) else int(each[0])
