"""What happens to tasks, written down: every transition becomes rows of the open batch, and after the commit part of the tree.

The schedule is told at once, for it only decides; nothing is shown to anybody before it is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from apflow import schedule as states
from apflow.live import LiveTree
from apflow.plan import Plan
from apflow.schedule import End, Schedule
from apflow.values import encode
from apflow_hookspecs import Batch, Change, Json, RecordWrite, TaskStatus, TaskTree, Wait

ORDERING = {"executor", "inputs", "dependencies", "priority"}
"""Author's fields that decide when a task starts."""
ERRORS = {
    states.SKIPPED: ("dependency_failed", "a task that it requires did not complete"),
    states.CANCELLED: ("cancelled", "it was cancelled"),
}


def now() -> int:
    """The present instant, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Transitions:
    """The open batch, and the schedule that it follows."""

    def __init__(self, schedule: Schedule[LiveTree]) -> None:
        self.schedule = schedule
        self.batch = Batch()
        self.ended: list[LiveTree] = []
        """Trees whose run comes to its end with the open batch."""
        self.notes: dict[str, list[RecordWrite]] = {}
        """Records that go with what the open batch says of a tree, by its id: both are written, or neither."""

    def take(self) -> tuple[Batch, list[LiveTree], dict[str, list[RecordWrite]]]:
        """Close the open batch, and open the next."""
        batch, ended, notes = self.batch, self.ended, self.notes
        self.batch, self.ended, self.notes = Batch(), [], {}
        return batch, ended, notes

    def note(self, tree_id: str, record: RecordWrite | None) -> None:
        """A record goes with what the open batch says of a tree."""
        if record is not None:
            self.notes.setdefault(tree_id, []).append(record)

    def withdraw(self, live: LiveTree) -> None:
        """Nothing more of a tree is to be written."""
        self.batch.changes.pop(live.tree.id, None)
        self.notes.pop(live.tree.id, None)
        if live in self.ended:
            self.ended.remove(live)

    def change(self, live: LiveTree) -> Change:
        """A tree's part of the open batch."""
        change = self.batch.changes.get(live.tree.id)
        if change is None:
            change = self.batch.changes[live.tree.id] = Change(live.token, live.run)
        return change

    def event(
        self, live: LiveTree, type_: str, n: int | None, status: str, at: int, *,
        attempt: int = 0, actor: str | None = None, data: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Number an event and add it to the open batch."""
        live.last_event += 1
        self.change(live).events.append((live.last_event, type_, n, status, at, attempt, actor, data))

    def created(self, tree: TaskTree, actor: str | None) -> None:
        """A new tree, to be stored."""
        tree.last_event = 1
        self.batch.trees.append(tree)
        change = self.batch.changes[tree.id] = Change(tree.token, tree.run)
        change.events.append((1, "tree_created", None, "pending", tree.created_at, 0, actor, {"tasks": len(tree)}))

    def requested(self, live: LiveTree, actor: str | None, plugins: Mapping[str, str | None]) -> None:
        """Its execution was asked for: the schedule takes it in. `plugins` tells who provides each executor."""
        at = now()
        live.run += 1
        live.over = False
        change = self.change(live)
        change.run = live.run
        change.tree.update(status="in_progress", status_at=at, run=live.run, requested_at=at)
        live.status = "in_progress"
        self.event(live, "tree_started", None, "in_progress", at, actor=actor, data={"plugins": plugins})
        for n in sorted(live.again):
            self._reset(live, n, at, actor)
        self._mark(live)
        self.take_in(live, at)

    def _reset(self, live: LiveTree, n: int, at: int, actor: str | None) -> None:
        """Settled → pending, in a new run; what it came to goes into the history."""
        task, change = live.tasks[n], self.change(live)
        if task.attempt:
            result = encode(task.result) if task.status is TaskStatus.COMPLETED else None
            error = None if task.error is None else encode(task.error)
            ended, inputs = task.completed_at or at, live.prepared.pop(n, None)
            change.attempts.append(
                (n, task.attempt, task.run, task.started_at, ended, task.status.value, inputs, result, error)
            )
        change.moves.append((n, task.status.value, "pending", at, 0, 0, None, None, None))
        self.event(live, "task_reset", n, "pending", at, actor=actor)

    def _mark(self, live: LiveTree) -> None:
        """Write down which pending tasks this run was asked for: exactly those bear its number."""
        for n, task in enumerate(live.tasks):
            if task.status is TaskStatus.PENDING and task.executor is not None and (task.run == live.run) is (n in live.held):
                self.change(live).updates.append((n, {"run": 0 if n in live.held else live.run}))

    def take_in(self, live: LiveTree, at: int) -> None:
        """Hand a tree to the schedule, and write what follows from its tasks' states."""
        self._ends(live, self.schedule.add(live), at)
        self._look(live, at)

    def claimed(self, live: LiveTree, n: int, at: int) -> None:
        """Pending → in_progress, and the groups that begin with it."""
        change = self.change(live)
        for group in live.begin(n):
            change.moves.append((group, "pending", "in_progress", at, 0, 0, None, None, None))
            self.event(live, "task_started", group, "in_progress", at)
        attempt = live.attempts[n] = live.attempts[n] or 1
        change.claims.append((n, attempt, at))
        live.last_event += 1
        change.events.append((live.last_event, "task_started", n, "in_progress", at, attempt, None, None))

    def completed(self, live: LiveTree, n: int, result: Json, encoded: bytes) -> None:
        """in_progress → completed, and what follows."""
        at = now()
        change = self.change(live)
        change.completions.append((n, at, encoded))
        live.last_event += 1
        change.events.append((live.last_event, "task_settled", n, "completed", at, live.attempts[n], None, None))
        live.results[n] = result
        self.schedule.released(live, n)
        ends = self.schedule.settled(live, n, states.COMPLETED)
        if ends:
            self._ends(live, ends, at)
        if not live.open or live.waiting:
            self._look(live, at)

    def failed(
        self, live: LiveTree, n: int, error: Mapping[str, Json], *, state: int = states.FAILED, was: str = "in_progress"
    ) -> None:
        """→ failed or cancelled, and what follows."""
        at = now()
        self._move(live, n, was, states.STATUSES[state], at, error=error)
        if was == "in_progress":
            self.schedule.released(live, n)
        live.waiting.discard(n)
        self._ends(live, self.schedule.settled(live, n, state), at)
        self._look(live, at)

    def waits(self, live: LiveTree, n: int, wait: Wait, *, error: Mapping[str, Json] | None = None) -> None:
        """in_progress → waiting: the slot is free, and the wait is stored; with the error of an attempt that is tried again."""
        at = now()
        if wait.policy is not None:
            known = live.tasks[n].wait
            wait = evolve(wait, before=known if known is None or known.policy is None else known.before)
        written = wait.as_json()
        self._row(live, n, "in_progress", "waiting", at, error=None if error is None else encode(error), wait=encode(written))
        data = {"wait": written} if error is None else {"wait": written, "error": error}
        self.event(live, "task_waiting", n, "waiting", at, attempt=live.attempts[n], data=data)
        self.schedule.released(live, n)
        self.schedule.waiting(live, n)
        live.waiting.add(n)
        self._look(live, at)

    def resumes(self, live: LiveTree, n: int) -> None:
        """Waiting → pending, for its time has come. Leaving a retry is the next attempt."""
        wait = live.tasks[n].wait
        if wait is not None and wait.kind == "retry":
            live.attempts[n] += 1
            wait = None
        self._goes_on(live, n, wait, "task_resumed")

    def answered(self, live: LiveTree, n: int, answer: Json, actor: str | None) -> None:
        """Waiting → pending, with the answer that it waited for."""
        wait = live.tasks[n].wait
        if wait is not None:
            self._goes_on(live, n, evolve(wait, answer=answer), "task_answered", actor=actor, data={"answer": answer})

    def _goes_on(
        self,
        live: LiveTree,
        n: int,
        wait: Wait | None,
        type_: str,
        *,
        actor: str | None = None,
        data: Mapping[str, Json] | None = None,
    ) -> None:
        at = now()
        self._row(live, n, "waiting", "pending", at, wait=stored(wait))
        self.event(live, type_, n, "pending", at, attempt=live.attempts[n], actor=actor, data=data)
        self.schedule.again(live, n)
        live.waiting.discard(n)
        self._look(live, at)

    def recovered(self, live: LiveTree, n: int, reason: str) -> None:
        """in_progress → pending: what ran it is gone. Not an attempt."""
        at = now()
        live.recoveries[n] = live.recoveries.get(n, 0) + 1
        self._row(live, n, "in_progress", "pending", at, wait=stored(live.tasks[n].wait))
        self.event(live, "task_recovered", n, "pending", at, attempt=live.attempts[n], data={"reason": reason})

    def drained(self, live: LiveTree, n: int) -> None:
        """in_progress → pending: the engine closes, and leaves the task to the next one. Neither an attempt nor a recovery."""
        at = now()
        self._row(live, n, "in_progress", "pending", at, wait=stored(live.tasks[n].wait))
        self.event(live, "task_resumed", n, "pending", at, attempt=live.attempts[n], data={"reason": "the engine closed"})

    def kept(self, live: LiveTree, n: int, outcome: str, error: Mapping[str, Json] | None) -> None:
        """An attempt whose place in the task's row is about to be taken goes into the history."""
        started = live.tasks[n].started_at
        encoded = None if error is None else encode(error)
        inputs = live.prepared.pop(n, None)
        self.change(live).attempts.append((n, live.attempts[n], live.run, started, now(), outcome, inputs, None, encoded))

    def cancelled(self, live: LiveTree, numbers: Sequence[int], actor: str | None) -> None:
        """Cancel tasks: those that do not run end with this batch; those that do are stopped once it is stored."""
        at = now()
        target = numbers[0]
        task = live.tasks[target]
        self.event(live, "cancel_requested", target, task.status.value, at, attempt=task.attempt, actor=actor)
        waiting = live.waiting.intersection(numbers)
        live.waiting -= waiting
        ends, running = self.schedule.cancelled(live, numbers)
        live.cancelling.update(running)
        self._ends(live, ends, at, waiting)
        self._look(live, at)

    def progressed(self, live: LiveTree, n: int, progress: float, message: str | None) -> None:
        """An executor told how far it is."""
        data = {"progress": progress, "message": message}
        self.change(live).updates.append((n, {"progress": progress}))
        self.event(live, "task_progress", n, "in_progress", now(), attempt=live.attempts[n], data=data)

    def prepared(self, live: LiveTree, n: int, inputs: bytes) -> None:
        """A hook changed the inputs of an attempt."""
        live.prepared[n] = inputs
        self.change(live).updates.append((n, {"resolved": inputs}))

    def updated(
        self, live: LiveTree, n: int, fields: Mapping[str, Any], *, dependents: Iterable[int], plan: Plan, actor: str | None
    ) -> None:
        """Author's fields of a task were replaced; `plan` is the order graph from now on."""
        at = now()
        task = live.tasks[n]
        self.change(live).updates.append((n, {**fields, "updated_at": at}))
        self.event(live, "task_updated", n, task.status.value, at, actor=actor, data={"fields": sorted(fields)})
        for m in dependents:
            status = live.tasks[m].status.value
            self.event(live, "task_updated", m, status, at, actor=actor, data={"fields": [], "because_of": task.id})
        live.executors[n] = fields.get("executor", live.executors[n])
        live.priorities[n] = fields.get("priority", live.priorities[n])
        if live.listed and not fields.keys().isdisjoint(ORDERING):
            self._ends(live, self.schedule.replan(live, plan), at)
            self._look(live, at)

    def archived(self, tree: TaskTree, actor: str | None, *, undo: bool) -> None:
        """A tree that nobody runs is frozen, or no longer."""
        at = now()
        tree.archived_at = None if undo else at
        tree.last_event += 1
        event = (tree.last_event, "tree_archived", None, tree.status.value, at, 0, actor, {"undo": True} if undo else None)
        self.batch.changes[tree.id] = Change(tree.token, tree.run, events=[event], tree={"archived_at": tree.archived_at})

    def leaves(self, live: LiveTree) -> None:
        """A tree is let go once the open batch is stored."""
        if not live.leaving:
            live.leaving = True
            self.ended.append(live)

    def _ends(self, live: LiveTree, ends: Sequence[End], at: int, waiting: set[int] | frozenset[int] = frozenset()) -> None:
        for n, state, cause in ends:
            task = live.tasks[n]
            status = states.STATUSES[state]
            if n in live.plan.groups:
                if task.status == status and n not in live.again:
                    continue  # it was stored like this before the tree was taken in
                was = "in_progress" if live.begun[n] else "pending"
                self._move(live, n, was, status, at)
            else:
                code, message = ERRORS[state]
                details = None if cause is None else {"task_id": live.tasks[cause].id, "key": live.tasks[cause].key}
                message = message if cause is None else f"{live.tasks[cause].key!r}, which it requires, did not complete"
                was = "waiting" if n in waiting else "pending"
                self._move(live, n, was, status, at, error={"code": code, "message": message, "details": details})

    def _move(self, live: LiveTree, n: int, was: str, status: str, at: int, *, error: Mapping[str, Json] | None = None) -> None:
        self._row(live, n, was, status, at, error=None if error is None else encode(error))
        data = None if error is None else {"error": error}
        self.event(live, "task_settled", n, status, at, attempt=live.attempts[n], data=data)

    def _row(
        self, live: LiveTree, n: int, was: str, status: str, at: int, *, error: bytes | None = None, wait: bytes | None = None
    ) -> None:
        row = (n, was, status, at, live.attempts[n], live.recoveries.get(n, 0), None, error, wait)
        self.change(live).moves.append(row)

    def _look(self, live: LiveTree, at: int) -> None:
        """Where the tree itself stands, after what happened to its tasks."""
        status = self._status(live)
        if status == live.status and (live.open or live.over):
            return
        if not live.run and states.HELD in live.state:
            return  # a part of it was cancelled, and the rest can still be asked to run
        live.status = status
        self.change(live).tree.update(status=status, status_at=at)
        if not live.open and not live.over:
            live.over = True
            self.event(live, "tree_settled", None, status, at)
            self.leaves(live)

    @staticmethod
    def _status(live: LiveTree) -> str:
        state = live.state
        if live.open:
            idle = live.waiting and states.READY not in state and states.RUNNING not in state
            return "waiting" if idle else "in_progress"
        if states.FAILED in state:
            return "failed"
        if states.CANCELLED in state:
            return "cancelled"
        return "pending" if states.HELD in state else "completed"


def stored(wait: Wait | None) -> bytes | None:
    """A wait as it stands in a task's row."""
    return None if wait is None else encode(wait.as_json())
