"""Tasks and trees as the in-memory storage keeps them: values that nobody outside can reach."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec.json
from attrs import define, field

from apflow_hookspecs import Attempt, Dependency, Event, Task, TaskStatus, TaskTree, Wait
from apflow_hookspecs.storage import AttemptRow, EventRow, Move

_DOCUMENTS = ("inputs", "params", "policies", "schemas", "labels")
_SETTLED = frozenset({"completed", "failed", "cancelled", "skipped"})

decode = msgspec.json.decode


def _plain(value: Any) -> dict[str, Any]:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{value!r} is not a JSON value")


encode = msgspec.json.Encoder(enc_hook=_plain).encode


def _encoded(value: Any) -> bytes | None:
    return None if value is None else encode(value)


def _decoded(raw: bytes | None) -> Any:
    return None if raw is None else decode(raw)


@define(eq=False)
class TaskRow:
    """A task; what is JSON in it is encoded, so that each reader gets its own."""

    id: str
    key: str
    name: str
    parent_id: str | None
    user_id: str | None
    executor: str | None
    original_task_id: str | None
    priority: int
    timeout: float | None
    on_crash: Any
    dependencies: tuple[Dependency, ...]
    documents: dict[str, bytes]
    status: str
    wait: bytes | None
    progress: float
    result: bytes | None
    error: bytes | None
    run: int
    attempt: int
    recoveries: int
    changed_at: int
    started_at: int | None
    completed_at: int | None
    resolved: bytes | None = None

    @classmethod
    def of(cls, task: Task) -> TaskRow:
        """The row of a task as it stands."""
        return cls(
            task.id, task.key, task.name, task.parent_id, task.user_id, task.executor, task.original_task_id,
            task.priority, task.timeout, task.on_crash, task.dependencies,
            {name: encode(value) for name in _DOCUMENTS if (value := getattr(task, name))},
            str(task.status), None if task.wait is None else encode(task.wait.as_json()), task.progress,
            _encoded(task.result), _encoded(task.error),
            task.run, task.attempt, task.recoveries, task.updated_at, task.started_at, task.completed_at,
        )  # fmt: skip

    def updated_at(self, created_at: int) -> int:
        """The latest instant at which anything happened to it."""
        return max(created_at, self.changed_at, self.started_at or 0, self.completed_at or 0)

    def move(self, move: Move, run: int) -> None:
        """Replace the state, as documented at `Move`."""
        _, expected, status, at, attempt, self.recoveries, self.result, self.error, self.wait = move
        goes_on = expected == "waiting" and attempt == self.attempt
        self.attempt = attempt
        self.status, self.run, self.changed_at = status, run, at
        if status in _SETTLED:
            self.completed_at = at
            self.progress = 1.0 if status == "completed" else self.progress
        elif status == "pending":
            self.completed_at = self.resolved = None
            self.started_at, self.progress = (self.started_at, self.progress) if goes_on else (None, 0.0)
        elif status == "in_progress":
            self.started_at = at

    def update(self, fields: Mapping[str, Any]) -> None:
        """Set authors' fields, `progress`, `resolved` or `updated_at`."""
        for name, value in fields.items():
            if name in _DOCUMENTS:
                self.documents.pop(name, None)
                self.documents |= {name: encode(value)} if value else {}
            else:
                setattr(self, "changed_at" if name == "updated_at" else name, value)


@define(eq=False)
class TreeRow:
    """A tree's record, and everything that belongs to it."""

    number: int
    record: dict[str, Any]
    """The fields of `TaskTree` other than its tasks."""
    tasks: dict[int, TaskRow]
    events: list[tuple[int, int, bytes]] = field(factory=list)
    """(seq, run, encoded `EventRow`), in order."""
    attempts: list[AttemptRow] = field(factory=list)
    deleted: dict[int, str] = field(factory=dict)
    """Ids of deleted tasks, which its events still name."""

    @classmethod
    def of(cls, tree: TaskTree, number: int) -> TreeRow:
        """The row of a tree with its tasks as they stand."""
        record = {
            "id": tree.id, "user_id": tree.user_id, "origin": tree.origin, "context_id": tree.context_id,
            "status": TaskStatus(tree.status), "status_at": tree.status_at, "run": tree.run, "requested_at": tree.requested_at,
            "created_at": tree.created_at, "archived_at": tree.archived_at, "last_event": tree.last_event,
            "owner": tree.owner, "token": tree.token,
        }  # fmt: skip
        return cls(number, record, {task.n: TaskRow.of(task) for task in tree})

    @property
    def root(self) -> int:
        """The root's number."""
        return next(n for n, row in self.tasks.items() if row.id == self.record["id"])

    @property
    def open(self) -> bool:
        """Whether an execution was requested that has not settled; one that left tasks pending has settled."""
        return self.record["status"] in ("in_progress", "waiting")

    def id_of(self, n: int) -> str:
        """The id of a task, also of one that was deleted."""
        row = self.tasks.get(n)
        return row.id if row is not None else self.deleted[n]

    def remove(self, numbers: frozenset[int]) -> None:
        """Delete some tasks; what was under them or depended on them is so no longer."""
        removed = {self.tasks[n].id for n in numbers}
        self.deleted |= {n: self.tasks.pop(n).id for n in numbers}
        self.attempts = [attempt for attempt in self.attempts if attempt[0] not in numbers]
        for row in self.tasks.values():
            row.parent_id = None if row.parent_id in removed else row.parent_id
            if any(dependency.task_id in removed for dependency in row.dependencies):
                row.dependencies = tuple(each for each in row.dependencies if each.task_id not in removed)

    def bare(self) -> TaskTree:
        """Its record, without tasks."""
        return TaskTree(tasks={}, **self.record)

    def tree(self) -> TaskTree:
        """All of it."""
        tasks = [self.task(n) for n in sorted(self.tasks)]
        return TaskTree(tasks={task.key: task for task in tasks}, **self.record)

    def task(self, n: int) -> Task:
        """One task, the reader's own."""
        row, created_at = self.tasks[n], self.record["created_at"]
        documents: dict[str, Any] = {name: decode(raw) for name, raw in row.documents.items()}
        return Task(
            n=n, id=row.id, key=row.key, name=row.name, parent_id=row.parent_id, tree_id=self.record["id"], user_id=row.user_id,
            executor=row.executor, dependencies=row.dependencies, priority=row.priority, timeout=row.timeout,
            on_crash=row.on_crash, original_task_id=row.original_task_id,
            status=TaskStatus(row.status), wait=Wait.from_json(decode(row.wait)) if row.wait else None, progress=row.progress,
            result=_decoded(row.result), error=_decoded(row.error), run=row.run, attempt=row.attempt, recoveries=row.recoveries,
            created_at=created_at, updated_at=row.updated_at(created_at),
            started_at=row.started_at, completed_at=row.completed_at, **documents,
        )  # fmt: skip

    def add_events(self, run: int, events: list[EventRow]) -> None:
        """Append a change's events, which go on from the last number."""
        self.events += [(event[0], run, encode(event)) for event in events]
        if events:
            self.record["last_event"] = max(self.record["last_event"], events[-1][0])

    def event(self, run: int, raw: bytes) -> Event:
        """One event, the reader's own."""
        seq, kind, n, status, at, attempt, actor, data = decode(raw)
        task_id = None if n is None else self.id_of(n)
        return Event(seq, self.record["id"], run, task_id, kind, status, at, attempt, actor, data)

    def attempt(self, row: AttemptRow) -> Attempt:
        """One attempt that is over, the reader's own."""
        n, attempt, run, started, ended, outcome, inputs, result, error = row
        documents = (_decoded(inputs), _decoded(result), _decoded(error))
        return Attempt(self.id_of(n), attempt, run, started, ended, outcome, *documents)
