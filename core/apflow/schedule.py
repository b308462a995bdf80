"""The schedule: decides what is ready, what starts, what is skipped, and when a tree is over.

Pure: what happened goes in, what has to happen comes out. No I/O, no clock, no asyncio; nothing is read again or searched when
a task ends, so that a whole tree costs O(V+E).

Order: priorities are strict over all trees; within a priority trees take turns; within a tree the task that became ready first
goes first. Tasks whose executor is at its limit are passed over, and keep their places.

In: `add`, `settled`, `released`, `waiting`, `again`, `cancelled`, `remove`. Out: the `End`s that follow from what went in, and
`claims`, the tasks to start now. A tree is over when its `open` has come down to nought.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

from apflow.plan import NOBODY, Plan
from apflow_hookspecs import Task, TaskStatus

# A task's state, as the schedule sees it. A group is pending until it ends.
PENDING, READY, RUNNING, WAITING, COMPLETED, SKIPPED, CANCELLED, FAILED, HELD = range(9)
"""HELD is pending and not asked to run. The ends are in the order in which a group takes its own from those under it."""

STATUSES = {WAITING: "waiting", COMPLETED: "completed", SKIPPED: "skipped", CANCELLED: "cancelled", FAILED: "failed"}
STATES = {status: state for state, status in STATUSES.items()} | {"in_progress": RUNNING}
PRIORITIES = 10

C = TypeVar("C", bound="Course")

End = tuple[int, int, int | None]
"""(n, state, cause): a task that ends without having run, or a group; the cause is the task that did not complete."""


class Course:
    """One tree on its way through the schedule: what has become of each task so far.

    Args:
        plan: Its order graph.
        tasks: By number; only `priority`, `executor` and `status` are read, once.
        held: Numbers of the pending tasks that work and were not asked to run.
        again: Numbers of the settled tasks, groups among them, that are pending once more.
    """

    def __init__(self, plan: Plan, tasks: Sequence[Task], *, held: Collection[int] = (), again: Collection[int] = ()) -> None:
        self.executors = [task.executor or "" for task in tasks]
        self.priorities = bytearray(task.priority for task in tasks)
        self.state = bytearray(plan.size)
        for n, task in enumerate(tasks):
            if task.status is not TaskStatus.PENDING and task.executor is not None:
                self.state[n] = STATES[task.status]
        for n in again:
            self.state[n] = PENDING
        for n in plan.gone:
            self.state[n] = COMPLETED
        self._hold(held, plan)
        self.begun = bytearray(plan.size)
        """Whether something under a task was claimed: then a group is in progress."""
        for n in plan.groups:
            self.begun[n] = tasks[n].status == "in_progress"
        self.turns = [0] * PRIORITIES
        """Ticket of its last turn in each priority; the lower, the sooner it has the next."""
        self.listed = False
        """Whether a schedule has it."""
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """This is its order graph from now on; what has become of its tasks is still to be counted."""
        self.plan = plan
        self.waits = plan.waits.copy()
        self.under = plan.under.copy()
        self.worst = bytearray([COMPLETED]) * plan.size
        self.open = plan.size - len(plan.gone) - self.state.count(HELD)
        """How many tasks have yet to settle until the tree is over."""
        self.state = self.state.replace(bytes([READY]), bytes([PENDING]))
        self.lanes: dict[tuple[int, str], deque[tuple[int, int]]] = {}
        """Ready tasks as (ticket, n), first in, first out, by priority and by executor where that has a limit."""
        self.ready = [0] * PRIORITIES
        """How many tasks of each priority are ready."""

    def _hold(self, held: Collection[int], plan: Plan) -> None:
        """Tasks that were not asked to run keep every group above them open; none of these counts for the end of the tree."""
        seen: set[int] = set()
        for start in held:
            n = start
            while n >= 0 and n not in seen:
                seen.add(n)
                if n in held or n in plan.groups:
                    self.state[n] = HELD
                n = plan.parents[n]

    def begin(self, n: int) -> list[int]:
        """A task was claimed: the groups above it that begin with it."""
        begun, groups = self.begun, []
        n = self.plan.parents[n]
        while n >= 0 and not begun[n]:
            begun[n] = 1
            if n in self.plan.groups:
                groups.append(n)
            n = self.plan.parents[n]
        return groups


class Schedule(Generic[C]):
    """All trees that run, and the slots that they share.

    Args:
        max_concurrency: Tasks that may run at once.
        limits: Tasks of an executor that may run at once, by executor id.
    """

    def __init__(self, max_concurrency: int, limits: Mapping[str, int] | None = None) -> None:
        self.free = max_concurrency
        self.limits = dict(limits or {})
        self._room = dict(self.limits)
        self._tickets = count(1)
        self._rings: list[dict[str, list[tuple[int, C]]]] = [{} for _ in range(PRIORITIES)]
        """By priority and lane: a heap of the trees in it, by their turn. What changed since is put right at the top."""

    def add(self, course: C) -> list[End]:
        """Take a tree in, as its tasks stand; the ends are those that follow from it, in order.

        A task that is in progress takes a slot, whether there is one or not: whoever adds it knows what has become of it.
        """
        course.listed = True
        for n, was in enumerate(course.state):
            if was == RUNNING:
                self._take(course.executors[n])
        return self._count(course)

    def replan(self, course: C, plan: Plan) -> list[End]:
        """A tree has another order graph from now on, and other executors and priorities of what has not started."""
        was = bytes(course.state)
        course.follow(plan)
        return [end for end in self._count(course) if not COMPLETED <= was[end[0]] <= FAILED]

    def _count(self, course: C) -> list[End]:
        ends: list[End] = []
        state, waits, groups = course.state, course.waits, course.plan.groups
        for n, was in [(n, was) for n, was in enumerate(state) if COMPLETED <= was <= FAILED and n not in groups]:
            self._settle(course, n, was, ends)
        for n in range(course.plan.size):
            if state[n] == PENDING and waits[n] == 0 and n not in groups:
                self._push(course, n)
        return ends

    def settled(self, course: C, n: int, state: int) -> list[End]:
        """A running or waiting task ended; the slot of a running one is given back by `released`."""
        ends: list[End] = []
        course.state[n] = state
        self._settle(course, n, state, ends)
        return ends

    def released(self, course: C, n: int) -> None:
        """A claimed task holds its slot no longer."""
        self.free += 1
        executor = course.executors[n]
        if executor in self._room:
            self._room[executor] += 1

    def waiting(self, course: C, n: int) -> None:
        """A running task waits, for an answer or an instant."""
        course.state[n] = WAITING

    def again(self, course: C, n: int) -> None:
        """A waiting or running task is ready once more: its time came, it was answered, or its attempt was lost."""
        self._push(course, n)

    def cancelled(self, course: C, numbers: Iterable[int]) -> tuple[list[End], list[int]]:
        """Cancel tasks: the ends of those that do not run and of what follows, and the numbers of those that do run."""
        ends: list[End] = []
        running: list[int] = []
        state, groups = course.state, course.plan.groups
        for n in numbers:
            if n in groups or COMPLETED <= state[n] <= FAILED:
                continue
            if state[n] == RUNNING:
                running.append(n)
                continue
            course.open += state[n] == HELD
            course.ready[course.priorities[n]] -= state[n] == READY
            state[n] = CANCELLED
            ends.append((n, CANCELLED, None))
        for n, _, _ in ends.copy():
            self._settle(course, n, CANCELLED, ends)
        return ends, running

    def remove(self, course: C) -> None:
        """Forget a tree: nothing of it starts any more. Slots of its running tasks are still given back by `released`."""
        course.listed = False
        course.lanes.clear()
        course.ready = [0] * PRIORITIES
        if course.open:
            course.state = course.state.replace(bytes([READY]), bytes([PENDING]))

    def claims(self) -> list[tuple[C, int]]:
        """Start these now, in this order; their slots are taken."""
        starts: list[tuple[C, int]] = []
        for priority in range(PRIORITIES):
            while self.free > 0 and (lane := self._lane(priority)) is not None:
                _, course = self._rings[priority][lane][0]
                _, n = course.lanes[priority, lane].popleft()
                course.ready[priority] -= 1
                course.turns[priority] = next(self._tickets)
                course.state[n] = RUNNING
                self._take(course.executors[n])
                starts.append((course, n))
        return starts

    def limit_on(self, course: C, n: int) -> str | None:
        """The setting that leaves no slot for a task now; None where there is one."""
        executor = course.executors[n]
        if self._room.get(executor, 1) <= 0:
            return f"limits.{executor}"
        return "max_concurrency" if self.free <= 0 else None

    def _lane(self, priority: int) -> str | None:
        """The lane at whose top is the task to start next: the first that may start, of the tree whose turn it is."""
        best: tuple[tuple[int, int], str] | None = None
        for lane, ring in self._rings[priority].items():
            if self._room.get(lane, 1) > 0:
                top = self._top(priority, lane, ring)
                if top is not None and (best is None or top < best[0]):
                    best = (top, lane)
        return None if best is None else best[1]

    @staticmethod
    def _top(priority: int, lane: str, ring: list[tuple[int, C]]) -> tuple[int, int] | None:
        """Turn of the first tree of a lane and ticket of its first task."""
        while ring:
            turn, course = ring[0]
            queue = course.lanes.get((priority, lane))
            while queue and course.state[queue[0][1]] != READY:
                queue.popleft()  # cancelled while it was queued
            if not queue:
                heappop(ring)
                course.lanes.pop((priority, lane), None)
            elif turn != course.turns[priority]:
                heapreplace(ring, (course.turns[priority], course))
            else:
                return turn, queue[0][0]
        return None

    def _take(self, executor: str) -> None:
        self.free -= 1
        if executor in self._room:
            self._room[executor] -= 1

    def _push(self, course: C, n: int) -> None:
        if not course.listed:
            course.state[n] = PENDING
            return
        course.state[n] = READY
        ticket, priority, executor = next(self._tickets), course.priorities[n], course.executors[n]
        if not course.ready[priority]:
            course.turns[priority] = ticket
        course.ready[priority] += 1
        lane = executor if executor in self._room else ""
        queue = course.lanes.get((priority, lane))
        if queue is None:
            queue = course.lanes[priority, lane] = deque()
            heappush(self._rings[priority].setdefault(lane, []), (course.turns[priority], course))
        queue.append((ticket, n))

    def _settle(self, course: C, n: int, end: int, ends: list[End]) -> None:
        """Carry one end on to all that follows from it: dependents, groups above, and theirs in turn."""
        plan, state, waits, under, worst = course.plan, course.state, course.waits, course.under, course.worst
        optional = plan.optional
        trail = [(n, end)]
        while trail:
            n, end = trail.pop()
            course.open -= 1
            for m in plan.required[n]:
                waits[m] -= 1
                if state[m] != PENDING:
                    continue
                if end != COMPLETED:
                    state[m] = SKIPPED
                    ends.append((m, SKIPPED, n))
                    trail.append((m, SKIPPED))
                elif not waits[m]:
                    self._push(course, m)
            for m in optional.get(n, NOBODY) if optional else NOBODY:
                waits[m] -= 1
                if not waits[m] and state[m] == PENDING:
                    self._push(course, m)
            worst[n] = max(worst[n], end)
            if n in plan.groups:
                self._ascend(course, n, ends, trail)
            else:
                under[n] -= 1
                if not under[n]:
                    self._ascend(course, n, ends, trail)

    @staticmethod
    def _ascend(course: C, n: int, ends: list[End], trail: list[tuple[int, int]]) -> None:
        """All under a task has settled: tell its parent, and go on upwards while that was the last it waited for."""
        plan, under, worst = course.plan, course.under, course.worst
        while (parent := plan.parents[n]) >= 0:
            worst[parent] = max(worst[parent], worst[n])
            under[parent] -= 1
            if under[parent]:
                return
            n = parent
            if n in plan.groups:
                course.open += course.state[n] == HELD
                course.state[n] = worst[n]
                ends.append((n, worst[n], None))
                trail.append((n, worst[n]))
                return
