"""Tasks and trees: the words that every plugin, the host and the user share.

Units, everywhere: an *instant* is an integer, microseconds since 1970-01-01 UTC (`as_datetime` and `rfc3339` convert);
a duration is a float, seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Literal

from attrs import define, frozen

Json = Any
"""A JSON value: None, bool, int of at most 64 bits, finite float, str, list or dict with str keys."""

EMPTY: Mapping[str, Any] = MappingProxyType({})
"""The object that a field holds when its author left it out; one for all tasks."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_INSTANT = 253_402_300_799_999_999
"""The last instant that can be written as a date: in the year 9999."""


def as_datetime(instant: int) -> datetime:
    """An instant as an aware `datetime` in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def as_instant(moment: datetime) -> int:
    """An aware `datetime` as an instant."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def rfc3339(instant: int | None) -> str | None:
    """An instant as RFC 3339 text in UTC with microseconds and `Z`, as every front end shows it."""
    if instant is None:
        return None
    second, fraction = divmod(instant, 1_000_000)
    return f"{_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return as_datetime(second * 1_000_000).replace(tzinfo=None).isoformat()


class TaskStatus(StrEnum):
    """Where a task or a tree stands."""

    PENDING = "pending"
    """Not started: it was not asked to run, or waits for its dependencies or for a free slot."""
    IN_PROGRESS = "in_progress"
    """An attempt is running; of a group or a tree: something under it has started."""
    WAITING = "waiting"
    """For an answer or an instant; it holds no slot meanwhile."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """It will not run in this run, for a required dependency ended other than completed."""

    @property
    def settled(self) -> bool:
        """Whether only another run can move it from here."""
        return self in SETTLED


SETTLED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED})


@frozen
class Dependency:
    """One task that must settle before another may start.

    Args:
        task_id: The id of the task that is waited for.
        key: How the author named it.
        required: Whether it must complete; otherwise any end will do.
    """

    task_id: str
    key: str
    required: bool = True


@frozen
class Wait:
    """What an executor or a policy hands back instead of a result when the task has to wait.

    The attempt's slot is freed, the wait is stored and survives restarts, and the task goes on with a new call from the
    beginning. Going on is not another attempt. In the new call `context.wait` is the wait from which it comes back, and None in
    the first; after a question `context.answer` is the answer, which may be null:

        @executor("remind")
        async def remind(text: str, seconds: float, context: TaskContext) -> str | Wait:
            if context.wait is None:
                return Wait.until(time.time_ns() // 1000 + int(seconds * 1_000_000))
            return text

        @executor("approve")
        async def approve(question: str, context: TaskContext) -> bool | Wait:
            if context.wait is None:
                return Wait.for_input(question, schema={"type": "boolean"})
            return context.answer

    An attempt after `Retry` begins anew: its `context.wait` is None.

    Args:
        kind: `input` waits for a person or another agent, `until` for an instant, `retry` for the next attempt.
        at: Instant at which it is over, up to `MAX_INSTANT`: of an input its deadline, which fails the task; None is never.
        prompt: What is asked.
        schema: JSON Schema that the answer has to fit; it refers to nothing outside itself.
        answer: What was answered.
        policy: Name of the policy that waits, which the engine notes; None is the executor, or a retry.
        before: What the executor had come back from when a policy waited, so that it gets to know that all the same.
    """

    kind: Literal["input", "until", "retry"]
    at: int | None = None
    prompt: str | None = None
    schema: Mapping[str, Any] | None = None
    answer: Json = None
    policy: str | None = None
    before: Wait | None = None

    @classmethod
    def for_input(cls, prompt: str, schema: Mapping[str, Any] | None = None, until: int | datetime | None = None) -> Wait:
        """Wait for an answer to `prompt`, at most until an instant."""
        return cls("input", as_instant(until) if isinstance(until, datetime) else until, prompt, schema)

    @classmethod
    def until(cls, instant: int | datetime) -> Wait:
        """Wait for an instant, given in microseconds since 1970 UTC or as an aware `datetime`."""
        return cls("until", as_instant(instant) if isinstance(instant, datetime) else instant)

    def as_json(self) -> dict[str, Json]:
        """As it is stored, in the words of a task's field `wait`: `at` is called `until` there."""
        schema = None if self.schema is None else dict(self.schema)
        stored: dict[str, Json] = {
            "kind": self.kind, "until": self.at, "prompt": self.prompt, "schema": schema, "answer": self.answer,
        }  # fmt: skip
        if self.policy is not None:
            stored |= {"policy": self.policy, "before": None if self.before is None else self.before.as_json()}
        return stored

    def shown(self) -> dict[str, Json]:
        """As every front end shows it: the instant as RFC 3339."""
        return {
            "kind": self.kind,
            "until": rfc3339(self.at),
            "prompt": self.prompt,
            "schema": None if self.schema is None else dict(self.schema),
            "answer": self.answer,
            "policy": self.policy,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Wait:
        """What `as_json` made."""
        told = (stored["kind"], stored["until"], stored["prompt"], stored["schema"], stored["answer"])
        before = stored.get("before")
        return cls(*told, stored.get("policy"), None if before is None else cls.from_json(before))


@define(eq=False, kw_only=True)
class Task:
    """A task: what its author wrote, and what has become of it.

    The engine keeps the second part up to date while the tree runs; for everybody else a task is to be read, not changed.
    """

    n: int
    """Its number in the tree, from 0: its place in the order of creation."""
    id: str
    """Unique in the storage."""
    key: str
    """How its author refers to it, unique in the tree: the author's id, else the name where that is unique, else the id."""
    name: str
    parent_id: str | None = None
    """Place in the tree: structure only, never an order."""
    tree_id: str
    """The root's id."""
    user_id: str | None = None
    executor: str | None = None
    """Id of the executor; None makes the task a *group*, which settles when all that is under it has."""
    inputs: Mapping[str, Any] = EMPTY
    """Arguments for the executor, as the author wrote them: references in them are resolved anew for each attempt."""
    params: Mapping[str, Any] = EMPTY
    """Configuration of the executor."""
    policies: Mapping[str, Any] = EMPTY
    """What wraps the executor: options by the policy's name."""
    schemas: Mapping[str, Any] = EMPTY
    """`input_schema` and `output_schema` (JSON Schema) of this task, both optional."""
    dependencies: tuple[Dependency, ...] = ()
    priority: int = 2
    """0 to 9, lower first: 0 urgent, 1 high, 2 normal, 3 low."""
    timeout: float | None = None
    """Seconds that one attempt may take; None leaves it to the configuration."""
    on_crash: Literal["rerun", "fail"] | None = None
    """What recovery does with an attempt that was cut off; None leaves it to the executor."""
    labels: Mapping[str, Any] = EMPTY
    """Where it may run, for plugins that place work."""
    original_task_id: str | None = None
    """What it was copied from."""

    status: TaskStatus = TaskStatus.PENDING
    wait: Wait | None = None
    """For what it waits; until its attempt is over also that from which it came back, with the answer."""
    progress: float = 0.0
    """0 to 1, as its executor reports it; 1 when completed."""
    result: Json = None
    """What its executor returned; None while there is none, and also a result."""
    error: Mapping[str, Any] | None = None
    """`{code, message, details}` when it failed, was cancelled or skipped; of the last attempt while it waits for the next."""
    run: int = 1
    """The execution of the tree, from 1, to which its state belongs: the latest where it was asked to run in that.

    A task that was carried over into a copy, or left out of the first execution, has 0."""
    attempt: int = 0
    """Planned tries in this run: 1 during the first."""
    recoveries: int = 0
    """How often this run of it was started again because its process was gone; never counted as attempts."""
    created_at: int = 0
    updated_at: int = 0
    started_at: int | None = None
    """Instant at which the current attempt started."""
    completed_at: int | None = None
    """Instant at which it settled, however it ended."""

    @property
    def is_group(self) -> bool:
        """Whether it does no work of its own."""
        return self.executor is None

    def __repr__(self) -> str:
        return f"<Task {self.key!r} {self.status}>"


@define(eq=False, kw_only=True, slots=False)
class TaskTree:
    """A tree of tasks under one root, and the record that the engine keeps of it.

    `tasks` maps key to task, in the order of creation. A tree that a listing returns may come without its tasks.
    """

    id: str
    """The root's id."""
    tasks: dict[str, Task]
    user_id: str | None = None
    origin: Literal["local", "remote"] = "local"
    """Who created it: a user of this machine, or a caller from outside, for whom stricter rules hold."""
    context_id: str | None = None
    """The conversation to which it belongs, where it came from an agent protocol."""
    status: TaskStatus = TaskStatus.PENDING
    status_at: int = 0
    run: int = 0
    """Executions that were requested so far."""
    requested_at: int | None = None
    """Instant at which the latest execution was requested."""
    created_at: int = 0
    archived_at: int | None = None
    last_event: int = 0
    """Number of its latest event."""
    owner: str | None = None
    """The process that runs it, for people: `pid@host`."""
    token: str = ""
    """The owner's token: a write under another one is refused."""

    @property
    def root(self) -> Task:
        """The one task without a parent."""
        return self[self.id]

    @property
    def progress(self) -> float:
        """0 to 1: the mean over the working tasks of this run."""
        working = [t.progress for t in self.tasks.values() if t.executor is not None and (t.run == self.run or not self.run)]
        return sum(working) / len(working) if working else 0.0

    @property
    def open(self) -> bool:
        """Whether its execution was requested and has not ended, also when no process goes on with it.

        One that ended with tasks that nobody had asked to run is pending again.
        """
        return self.status in (TaskStatus.IN_PROGRESS, TaskStatus.WAITING)

    def __getitem__(self, task_id: str) -> Task:
        """The task with an id; `tasks` has them by key."""
        return self._by_id[task_id]

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._by_id

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def __len__(self) -> int:
        return len(self.tasks)

    def children(self, task: Task) -> list[Task]:
        """The tasks directly under one."""
        return self._children.get(task.id, [])

    @cached_property
    def _by_id(self) -> dict[str, Task]:
        return {task.id: task for task in self.tasks.values()}

    @cached_property
    def _children(self) -> dict[str | None, list[Task]]:
        children: dict[str | None, list[Task]] = {}
        for task in self.tasks.values():
            children.setdefault(task.parent_id, []).append(task)
        return children

    def __repr__(self) -> str:
        return f"<TaskTree {self.id!r} {self.status} of {len(self.tasks)}>"


EventType = Literal[
    "tree_created", "tree_started", "tree_settled", "tree_archived",
    "task_started", "task_progress", "task_waiting", "task_answered", "task_resumed", "task_recovered",
    "task_reset", "task_updated", "task_settled", "cancel_requested",
]  # fmt: skip


@frozen
class Event:
    """One thing that happened in a tree, told after it was stored.

    Args:
        seq: Number within the tree, from 1, without gaps.
        task_id: The task it is about; None for the tree.
        status: Of the task or the tree, after it.
        at: Instant.
        actor: The user who caused it; None for the engine itself.
        data: A JSON object; what it holds depends on the type.
    """

    seq: int
    tree_id: str
    run: int
    task_id: str | None
    type: EventType
    status: str
    at: int
    attempt: int = 0
    actor: str | None = None
    data: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Json]:
        """As every front end shows it: instants as RFC 3339."""
        data = None if self.data is None else dict(self.data)
        if data is not None and isinstance(wait := data.get("wait"), Mapping):
            data["wait"] = Wait.from_json(wait).shown()
        return {
            "seq": self.seq,
            "tree_id": self.tree_id,
            "run": self.run,
            "task_id": self.task_id,
            "type": self.type,
            "status": str(self.status),
            "at": rfc3339(self.at),
            "attempt": self.attempt,
            "actor": self.actor,
            "data": data,
        }
