"""A tree while it is being run: its course through the schedule, and what belongs to it until it has settled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from apflow.plan import Plan
from apflow.schedule import COMPLETED, Course
from apflow_hookspecs import Json, TaskTree


class LiveTree(Course):
    """A tree that the engine runs.

    `tree` and its tasks show what is stored: they are brought up to date after each commit.

    Args:
        tree: The tree, as it is stored.
        plan: Its order graph.
        token: The owner's token, which every change of it bears.
        scope: Numbers of the working tasks that were asked to run; None is all.
    """

    def __init__(self, tree: TaskTree, plan: Plan, token: str, scope: Collection[int] | None = None) -> None:
        self.tree = tree
        self.tasks = list(tree)
        super().__init__(plan, self.tasks, scope)
        self.token = token
        self.run = tree.run
        self.status: str = tree.status
        """The tree's, and the number of its last event, as they are written: ahead of what `tree` shows."""
        self.last_event = tree.last_event
        self.attempts = {task.n: task.attempt for task in self.tasks if task.attempt > 1}
        """Number of the current attempt of the tasks that are beyond their first."""
        self.recoveries = {task.n: task.recoveries for task in self.tasks if task.recoveries}
        self.running: dict[int, Any] = {}
        """The attempt of each task that is executing, as its runner knows it."""
        self.waiting = {task.n for task in self.tasks if task.status == "waiting"}
        """The tasks that wait for an answer or an instant."""
        self.over = False
        """Whether the end of this run was written down."""
        self.timers: dict[int, asyncio.TimerHandle] = {}
        """What wakes the tasks that wait for an instant."""
        self.results: dict[int, Json] = {}
        """Results that are on their way into the storage."""
        self.prepared: dict[int, bytes] = {}
        """Inputs of current attempts that a hook changed, as JSON."""
        self.cancelling: set[int] = set()
        """Claimed tasks whose cancellation was requested."""
        self.answers: dict[int, Json] = {}
        """Answers to the waits from which tasks come back."""
        self.ended: asyncio.Future[TaskTree] = asyncio.get_running_loop().create_future()
        """Done once the end of this run is stored."""

    def completed(self, n: int) -> bool:
        """Whether a task completed."""
        return self.state[n] == COMPLETED

    def attempt(self, n: int) -> int:
        """Number of a task's current attempt."""
        return self.attempts.get(n, 1)

    def subtree(self, n: int) -> list[int]:
        """A task and all its descendants."""
        found = [n]
        for number in found:
            found.extend(self.plan.children[number])
        return found

    def own(self, n: int) -> Json:
        """What a task that works came to: its result, else its error."""
        task = self.tasks[n]
        return task.result if self.state[n] == COMPLETED else task.error
