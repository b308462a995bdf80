"""The manager: runs trees.

It hands trees to the schedule, has the runner start what was claimed, and tells those who wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from apflow.config import Settings
from apflow.events import Events, as_event
from apflow.host import Host
from apflow.journal import Journal, Written, taken
from apflow.live import LiveTree
from apflow.plan import Plan
from apflow.runner import Runner
from apflow.schedule import Schedule
from apflow.transitions import Transitions, now, show
from apflow_hookspecs import Change, Event, Storage, Task, TaskStatus, TaskTree
from apflow_hookspecs.errors import AlreadyExecuting, CannotDelete, InvalidTransition, NotFound

log = logging.getLogger("apflow.manager")


class TaskManager:
    """Runs trees of tasks, as many side by side as there are slots.

    Args:
        storage: Where they are kept.
        host: The plugins.
        settings: Limits and times.
        token: This engine's, as owner of the trees that it runs.
        owner: This process, for people.
    """

    def __init__(self, storage: Storage, host: Host, settings: Settings, *, token: str, owner: str) -> None:
        self._storage = storage
        self._host = host
        self._settings = settings
        self._token = token
        self._owner = owner
        self._schedule: Schedule[LiveTree] = Schedule(settings.max_concurrency, settings.limits)
        self._transitions = Transitions(self._schedule)
        self._journal = Journal(
            storage, self._transitions, self._schedule, written=self._written, lost=self._lost, failed=self._failed
        )
        self._runner = Runner(host, settings, self._transitions, self._journal)
        self._live: dict[str, LiveTree] = {}
        self._plans: WeakKeyDictionary[TaskTree, Plan] = WeakKeyDictionary()
        """Of trees that this engine has just created: they need not be read again to be run."""
        self._observed: asyncio.Queue[Event] = asyncio.Queue()
        self._observer = asyncio.get_running_loop().create_task(self._observe(), name="apflow-observer")
        self._stopping: set[asyncio.Task[None]] = set()
        self.events = Events(storage)

    async def distribute_task_tree(self, tree: TaskTree) -> TaskTree:
        """Run a tree to the end of this run.

        Args:
            tree: A stored tree that has not run yet.

        Returns:
            The tree, settled.

        Raises:
            AlreadyExecuting: It is running.
            InvalidTransition: It has run.
            NotFound: It is not stored.
        """
        live = await self._request(tree.id, None, tree)
        return await asyncio.shield(live.ended)

    async def execute(self, tree_id: str, *, actor: str | None = None) -> TaskTree:
        """Ask for the execution of a tree; returns once that is stored. Errors as `distribute_task_tree`."""
        return (await self._request(tree_id, actor, None)).tree

    async def wait(self, tree_id: str, timeout: float | None = None) -> TaskTree:  # noqa: ASYNC109 - not an error when it is over
        """The tree once it has settled, or as it stands after `timeout` seconds.

        Raises:
            NotFound: It is not stored.
        """
        live = self._live.get(tree_id)
        if live is None:
            return await self.tree(tree_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await asyncio.shield(live.ended)
        return live.tree

    async def insert(self, tree: TaskTree, plan: Plan, *, actor: str | None = None, execute: bool = False) -> None:
        """Store a new tree and, with `execute`, ask for its execution, in one transaction.

        Raises:
            InvalidTask: An id of it exists already.
        """
        if tree.id in self._live or tree.id in self._transitions.batch.changes:
            raise taken([tree.id])
        tree.token, tree.owner = self._token, self._owner
        self._transitions.created(tree, actor)
        if execute:
            live = self._live[tree.id] = LiveTree(tree, plan, self._token)
            self._transitions.requested(live, actor)
        await self._journal.stored(tree.id)
        if not execute:
            self._plans[tree] = plan

    async def cancel(self, task_id: str, *, actor: str | None = None) -> list[Task]:
        """Cancel a task and all under it; a root's id means the tree. Those that require them are skipped.

        Returns:
            The tasks covered, as they stand once the request is stored. Settled ones are left as they are.

        Raises:
            NotFound: There is no such task.
        """
        live, tree = await self._find(task_id)
        adopted = live is None
        if live is None:
            if all(task.status.settled for task in tree):
                return _under(tree, tree[task_id])
            live = await self._own(tree, ())
            self._schedule.add(live, live.tasks)
            self._schedule.remove(live)  # it is not to run: only what is cancelled moves
        numbers = live.subtree(live.tree[task_id].n)
        if adopted:
            for n in numbers:
                if live.tasks[n].status is TaskStatus.IN_PROGRESS and n not in live.plan.groups:
                    self._transitions.recovered(live, n, "its process is gone")
        running = self._transitions.cancelled(live, numbers, actor)
        await self._journal.stored(live.tree.id)
        for n in running:
            if (attempt := live.running.get(n)) is not None:
                self._runner.stop(attempt, "cancelled")
        if adopted:
            self._forget(live)
        return [live.tasks[n] for n in numbers]

    async def delete(self, task_id: str) -> int:
        """Delete a tree that is not being run; the number of tasks deleted.

        Raises:
            NotFound: There is no such task.
            CannotDelete: It runs, or the task is only a part of a tree.
        """
        live, tree = await self._find(task_id)
        if task_id != tree.id:
            raise CannotDelete(f"task {task_id!r} is a part of tree {tree.id!r}; delete the tree as a whole")
        if live is not None:
            raise CannotDelete(f"tree {task_id!r} is {tree.status}; cancel it first")
        self._outdate(tree.id)
        await self._storage.acquire(tree.id, self._token, self._owner)
        self._transitions.batch.deletes.append((tree.id, self._token, None))
        await self._journal.stored(tree.id)
        log.info("tree deleted", extra={"tree_id": tree.id, "tasks": len(tree)})
        return len(tree)

    def running(self) -> list[TaskTree]:
        """The trees that are being run, as they stand."""
        return [live.tree for live in self._live.values()]

    @property
    def abandoned(self) -> int:
        """Attempts that did not end when they were told to."""
        return self._runner.abandoned

    @property
    def commits(self) -> int:
        """Transactions written so far."""
        return self._journal.commits

    async def tree(self, task_id: str) -> TaskTree:
        """The tree that holds a task, as it stands.

        Raises:
            NotFound: There is no such task.
        """
        return (await self._find(task_id))[1]

    async def close(self) -> None:
        """Stop what runs, write what is due, and end. What did not settle is left, pending, to the next engine."""
        for live in self._live.values():
            self._schedule.remove(live)
            for timer in live.timers.values():
                timer.cancel()
        attempts = [attempt for live in self._live.values() for attempt in live.running.values()]
        await self._runner.drop(attempts)
        if self._journal.failure is None:
            for attempt in attempts:
                self._transitions.drained(attempt.live, attempt.n)
        await self._journal.close()
        self.events.close()
        await self._observed.join()
        self._observer.cancel()
        for live in self._live.values():
            live.ended.cancel()

    async def _request(self, tree_id: str, actor: str | None, fresh: TaskTree | None) -> LiveTree:
        if tree_id in self._live:
            raise AlreadyExecuting(f"tree {tree_id!r} is being executed already")
        plan = None if fresh is None else self._plans.pop(fresh, None)
        if fresh is not None and plan is not None:
            live = self._live[tree_id] = LiveTree(fresh, plan, self._token)
        else:
            tree = await self._stored_tree(tree_id)
            if tree_id in self._live:
                raise AlreadyExecuting(f"tree {tree_id!r} is being executed already")
            if tree.status is not TaskStatus.PENDING:
                if tree.status.settled:
                    raise InvalidTransition(
                        f"tree {tree_id!r} has run and is {tree.status}; only a pending tree can be executed"
                    )
                raise AlreadyExecuting(f"tree {tree_id!r} is {tree.status}: its execution was requested, and has not ended")
            live = await self._own(tree, None)
        self._transitions.requested(live, actor)
        await self._journal.stored(tree_id)
        return live

    async def _own(self, tree: TaskTree, scope: Sequence[int] | None) -> LiveTree:
        """Make a stored tree a live one of this engine."""
        self._outdate(tree.id)
        live = self._live[tree.id] = LiveTree(tree, Plan.of(tree), self._token, scope)
        await self._storage.acquire(tree.id, self._token, self._owner)
        tree.token, tree.owner = self._token, self._owner
        return live

    def _outdate(self, tree_id: str) -> None:
        """A tree that was created here changes: the objects that its creator holds no longer show it."""
        for tree in [tree for tree in self._plans if tree.id == tree_id]:
            del self._plans[tree]

    async def _stored_tree(self, tree_id: str) -> TaskTree:
        tree = await self._storage.tree(tree_id)
        if tree is None:
            raise NotFound(f"there is no tree {tree_id!r}")
        return tree

    async def _find(self, task_id: str) -> tuple[LiveTree | None, TaskTree]:
        live = self._live.get(task_id)
        if live is None:
            task = await self._storage.task(task_id)
            if task is None:
                raise NotFound(f"there is no task {task_id!r}")
            live = self._live.get(task.tree_id)
            if live is None:
                return None, await self._stored_tree(task.tree_id)
        return live, live.tree

    def _written(self, written: Written) -> None:
        """A batch is stored: show it, tell it, start what was claimed."""
        for tree_id, change in written.batch.changes.items():
            live = self._live.get(tree_id)
            if live is not None:
                show(live, change)
                self._arm(live, change)
            if self._host.observes or self.events.wanted(tree_id):
                self._publish(tree_id, live, change)
        for live, n in written.starts:
            if n in live.cancelling:
                self._runner.refuse(live, n)
            else:
                self._runner.start(live, n)
        for live in written.ended:
            self._forget(live)

    def _publish(self, tree_id: str, live: LiveTree | None, change: Change) -> None:
        tasks = () if live is None else live.tasks
        events = [as_event(tree_id, change.run, row, None if row[2] is None else tasks[row[2]].id) for row in change.events]
        self.events.stored(tree_id, events)
        if self._host.observes:
            for event in events:
                self._observed.put_nowait(event)

    async def _observe(self) -> None:
        while True:
            event = await self._observed.get()
            try:
                await self._host.event(event)
            finally:
                self._observed.task_done()

    def _arm(self, live: LiveTree, change: Change) -> None:
        """Set the clock for the tasks that wait for an instant."""
        for move in change.moves:
            n, status = move[0], move[2]
            wait = live.tasks[n].wait
            if status == "waiting" and wait is not None and wait.at is not None:
                delay = max(0.0, (wait.at - now()) / 1_000_000)
                live.timers[n] = asyncio.get_running_loop().call_later(delay, self._wake, live, n)

    def _wake(self, live: LiveTree, n: int) -> None:
        del live.timers[n]
        wait = live.tasks[n].wait
        if n not in live.waiting or wait is None:
            return
        if wait.kind == "input":
            error: dict[str, Any] = {"code": "timeout", "message": "nobody answered in time", "details": None}
            self._transitions.failed(live, n, error, was="waiting")
        else:
            self._transitions.resumes(live, n)
        self._journal.due()

    def _forget(self, live: LiveTree) -> None:
        self._schedule.remove(live)
        self._live.pop(live.tree.id, None)
        for timer in live.timers.values():
            timer.cancel()
        if not live.ended.done():
            live.ended.set_result(live.tree)

    def _lost(self, tree_id: str, error: Exception) -> None:
        """A tree could not be written: nothing more of it starts, and those who wait for it are told."""
        live = self._live.get(tree_id)
        if live is None:
            return
        self._tell(live, error)
        stopping = asyncio.get_running_loop().create_task(self._runner.drop(list(live.running.values())))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        self._forget(live)

    def _failed(self, error: Exception) -> None:
        """Nothing can be written any more: all who wait are told."""
        log.error("%s", error)
        for live in self._live.values():
            self._schedule.remove(live)
            self._tell(live, error)
        self.events.close()

    @staticmethod
    def _tell(live: LiveTree, error: Exception) -> None:
        if not live.ended.done():
            live.ended.set_exception(error)
            live.ended.exception()  # seen: that nobody waits for it is no fault


def _under(tree: TaskTree, task: Task) -> list[Task]:
    found = [task]
    for other in found:
        found.extend(tree.children(other))
    return found
