"""A tree while it is being run: its course through the schedule, and what belongs to it until it has settled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from apflow.plan import Plan, index
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
        self._children: list[list[int]] | None = None
        self._references: dict[str, int] | None = None

    def number(self, reference: str) -> int:
        """The task that a reference in somebody's inputs means."""
        if self._references is None:
            self._references = index((task.id, task.key, task.name) for task in self.tasks)
        return self._references[reference]

    def key(self, n: int) -> str:
        """A task's key."""
        return self.tasks[n].key

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
            found.extend(self._children_of(number))
        return found

    def outcome(self, n: int) -> Json:
        """What a task came to, for those that depend on it: its result, else its error; of a group those of its tasks."""
        if n not in self.plan.groups:
            task = self.tasks[n]
            return task.result if self.state[n] == COMPLETED else task.error
        outcomes: dict[str, Json] = {}
        open_groups = [(n, outcomes)]
        while open_groups:
            group, target = open_groups.pop()
            for child in self._children_of(group):
                inner: Json = {} if child in self.plan.groups else self.outcome(child)
                target[self.tasks[child].key] = inner
                if child in self.plan.groups:
                    open_groups.append((child, inner))
        return outcomes

    def _children_of(self, n: int) -> list[int]:
        if self._children is None:
            self._children = self.plan.children()
        return self._children[n]
