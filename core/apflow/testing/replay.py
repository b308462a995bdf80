"""A tree's events, gone through once more: where each task stood at any time, and what should not have happened."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from attrs import define, field

from apflow.testing.evidence import StoredTree
from apflow_hookspecs import SETTLED, Event, Task

ENDS = frozenset(str(status) for status in SETTLED)
MOVES = {
    "task_started": {"pending"},
    "task_waiting": {"in_progress"},
    "task_answered": {"waiting"},
    "task_resumed": {"waiting", "in_progress"},
    "task_recovered": {"in_progress"},
    "task_reset": ENDS,
}
"""From where an event takes a task."""
FROM = {"completed": {"in_progress"}, "failed": {"in_progress", "waiting"}, "cancelled": {"pending", "in_progress", "waiting"}}
"""From where a task that does work comes to each of its ends; it is skipped from pending."""


@define
class Track:
    """What the events tell of one task."""

    status: str = "pending"
    run: int = 0
    attempt: int = 0
    recoveries: int = 0
    retries: bool = False
    """Whether what it waits for is its next attempt."""
    starts: list[Event] = field(factory=list)
    ends: list[Event] = field(factory=list)


class Replay:
    """The events of a tree, one after the other.

    Attributes:
        tracks: What they tell, by the task's id.
        faults: What the table of statuses does not hold, starts that came too early, skips without a cause.
    """

    def __init__(self, stored: StoredTree) -> None:
        self.tracks = {task.id: Track() for task in stored.tree}
        self.faults: list[str] = []
        self._stored = stored
        told = {event.task_id for event in stored.events}
        for task in stored.tree:
            if task.original_task_id is not None and task.id not in told:
                self.tracks[task.id].status = str(task.status)  # carried over by a copy
        for event in stored.events:
            if event.task_id in self.tracks:
                self.faults += self._follow(event, stored.tree[event.task_id])

    def _follow(self, event: Event, task: Task) -> Iterator[str]:
        track = self.tracks[task.id]
        origins = self._origins(event, task)
        if origins is None:
            return
        if track.status not in origins:
            yield f"event {event.seq}: {event.type} ({event.status}) of {task.key!r}, which was {track.status}"
        if event.type == "task_started":
            yield from self._start(event, task, track)
        elif event.type == "task_settled":
            track.ends.append(event)
            if event.status == "skipped" and not task.is_group:
                yield from self._skip(event, task)
        elif event.type == "task_recovered":
            track.recoveries += 1
        elif event.type == "task_waiting":
            track.retries = ((event.data or {}).get("wait") or {}).get("kind") == "retry"
        elif track.status == "waiting" and track.retries:
            track.attempt += 1
        track.status = event.status

    @staticmethod
    def _origins(event: Event, task: Task) -> AbstractSet[str] | None:
        if event.type != "task_settled":
            return MOVES.get(event.type)
        return {"pending", "in_progress"} if task.is_group else FROM.get(event.status, {"pending"})

    def _start(self, event: Event, task: Task, track: Track) -> Iterator[str]:
        track.starts.append(event)
        if task.is_group:
            return
        if event.run != track.run:
            track.run, track.attempt, track.recoveries = event.run, 1, 0
        if event.attempt != track.attempt:
            yield f"event {event.seq}: {task.key!r} starts attempt {event.attempt}, and it is its attempt {track.attempt}"
        for other, required in self._stored.needs[task.id].items():
            status, key = self.tracks[other].status, self._stored.tree[other].key
            if status not in ENDS or (required and status != "completed"):
                yield f"event {event.seq}: {task.key!r} starts while {key!r}, which it needs, is {status}"

    def _skip(self, event: Event, task: Task) -> Iterator[str]:
        needs = self._stored.needs[task.id].items()
        if not any(required and self.tracks[other].status in ENDS - {"completed"} for other, required in needs):
            yield f"event {event.seq}: {task.key!r} is skipped, and nothing that it requires ended other than completed"
