"""A tree while it is being run: its course through the schedule, and what belongs to it until it has settled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from apflow.plan import Plan, numbered
from apflow.schedule import COMPLETED, Course
from apflow_hookspecs import Json, Task, TaskStatus, TaskTree


def unasked(tasks: Sequence[Task], run: int) -> set[int]:
    """Numbers of the tasks that work and that nothing asked to run in a run: they are pending, and of another one."""
    return {n for n, t in enumerate(tasks) if t.run != run and t.status is TaskStatus.PENDING and t.executor is not None}


class LiveTree(Course):
    """A tree that the engine runs.

    `tree` and its tasks show what is stored: they are brought up to date after each commit.

    Args:
        tree: The tree, as it is stored.
        plan: Its order graph.
        token: The owner's token, which every change of it bears.
        held: Numbers of the pending tasks that work and were not asked to run; None is those that its latest run left out.
        again: Numbers of the settled tasks, groups among them, that are to run once more.
    """

    def __init__(
        self,
        tree: TaskTree,
        plan: Plan,
        token: str,
        *,
        held: Collection[int] | None = None,
        again: Collection[int] = frozenset(),
    ) -> None:
        self.tree = tree
        self.tasks = numbered(tree)
        self.held = unasked(self.tasks, tree.run) if held is None else held
        self.again = again
        super().__init__(plan, self.tasks, held=self.held, again=again)
        self.token = token
        self.run = tree.run
        self.status: str = tree.status
        """The tree's, and the number of its last event, as they are written: ahead of what `tree` shows."""
        self.last_event = tree.last_event
        self.attempts = [0 if n in again else task.attempt for n, task in enumerate(self.tasks)]
        """Number of each task's current attempt in this run; 0 before the first."""
        self.recoveries = {n: task.recoveries for n, task in enumerate(self.tasks) if task.recoveries and n not in again}
        self.running: dict[int, Any] = {}
        """The attempt of each task that is executing, as its runner knows it."""
        self.waiting = {task.n for task in self.tasks if task.status == "waiting"}
        """The tasks that wait for an answer or an instant."""
        self.over = not tree.open and (tree.run > 0 or tree.status.settled)
        """Whether the end of its latest run was written down."""
        self.leaving = False
        """Whether it is let go with a commit that is due, or under way: nothing more of it can be written."""
        self.timers: dict[int, asyncio.TimerHandle] = {}
        """What wakes the tasks that wait for an instant."""
        self.results: dict[int, Json] = {}
        """Results that are on their way into the storage."""
        self.prepared: dict[int, bytes] = {}
        """Inputs of current attempts that a hook changed, as JSON."""
        self.since: dict[int, int] = {}
        """When the first attempt of this run started, of tasks with policies."""
        self.cancelling: set[int] = set()
        """Claimed tasks whose cancellation was requested."""
        self.ended: asyncio.Future[TaskTree] = asyncio.get_running_loop().create_future()
        """Done once the end of this run is stored."""

    def completed(self, n: int) -> bool:
        """Whether a task completed."""
        return self.state[n] == COMPLETED

    def own(self, n: int) -> Json:
        """What a task that works came to: its result, else its error."""
        task = self.tasks[n]
        return task.result if self.state[n] == COMPLETED else task.error
