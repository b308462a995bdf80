"""The manager: what can be asked of trees. It is what the earlier system's users know; the keeper does the rest."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from attrs import frozen

from apflow.journal import taken
from apflow.keeper import Keeper
from apflow.live import LiveTree
from apflow.plan import Plan
from apflow.transitions import now
from apflow_hookspecs import Task, TaskStatus, TaskTree
from apflow_hookspecs.errors import AlreadyExecuting, CannotDelete, InvalidTransition, Overloaded, StorageUnavailable

log = logging.getLogger("apflow.manager")


@frozen
class Recovered:
    """What an earlier process left behind.

    Args:
        trees: Trees whose execution was requested and has not ended.
        tasks: Tasks among them that it left in progress.
    """

    trees: int
    tasks: int


class TaskManager:
    """Runs trees of tasks, as many side by side as there are slots.

    Args:
        keeper: Keeps those that run.
        drain_timeout: Seconds that running tasks have to end, when the engine is to stop.
    """

    def __init__(self, keeper: Keeper, drain_timeout: float) -> None:
        self._keeper = keeper
        self._drain_timeout = drain_timeout

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
        live = self._keeper.live.get(tree_id)
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
        async with self._keeper.lock(tree.id):
            self._admit()
            if tree.id in self._keeper.live or tree.id in self._keeper.transitions.batch.changes:
                raise taken([tree.id])
            tree.token, tree.owner = self._keeper.token, self._keeper.owner
            self._keeper.transitions.created(tree, actor)
            if execute:
                live = self._keeper.live[tree.id] = LiveTree(tree, plan, self._keeper.token)
                self._keeper.request(live, actor)
            await self._keeper.journal.stored(tree.id)
            if not execute:
                self._keeper.created(tree, plan)

    async def cancel(self, task_id: str, *, actor: str | None = None) -> list[Task]:
        """Cancel a task and all under it; a root's id means the tree. Those that require them are skipped.

        Returns:
            The tasks covered, as they stand once the request is stored. Settled ones are left as they are.

        Raises:
            NotFound: There is no such task.
        """
        async with self._keeper.held(task_id) as (running, tree):
            live = running
            if live is None:
                if all(task.status.settled for task in tree):
                    return _under(tree, tree[task_id])
                live = await self._keeper.own(tree, () if tree.requested_at is None else None)
                self._keeper.schedule.add(live, live.tasks)
                self._keeper.schedule.remove(live)  # it is not to run: only what is cancelled moves
                self._keeper.transitions.ended.append(live)
            numbers = live.subtree(live.tree[task_id].n)
            self._keeper.transitions.cancelled(live, numbers, actor)
        await self._keeper.journal.stored(live.tree.id)
        return [live.tasks[n] for n in numbers]

    async def delete(self, task_id: str) -> int:
        """Delete a tree that is not being run; the number of tasks deleted.

        Raises:
            NotFound: There is no such task.
            CannotDelete: It runs, or the task is only a part of a tree.
        """
        async with self._keeper.held(task_id) as (live, tree):
            if task_id != tree.id:
                raise CannotDelete(f"task {task_id!r} is a part of tree {tree.id!r}; delete the tree as a whole")
            if live is not None:
                raise CannotDelete(f"tree {task_id!r} is {tree.status}; cancel it first")
            self._keeper.outdate(tree.id)
            await self._keeper.storage.acquire(tree.id, self._keeper.token, self._keeper.owner)
            self._keeper.transitions.batch.deletes.append((tree.id, self._keeper.token, None))
            await self._keeper.journal.stored(tree.id)
        log.info("tree deleted", extra={"tree_id": tree.id, "tasks": len(tree)})
        return len(tree)

    def running(self) -> list[TaskTree]:
        """The trees that are being run, as they stand."""
        return [live.tree for live in self._keeper.live.values()]

    @property
    def abandoned(self) -> int:
        """Attempts that did not end when they were told to."""
        return self._keeper.runner.abandoned

    @property
    def commits(self) -> int:
        """Transactions written so far."""
        return self._keeper.journal.commits

    async def tree(self, task_id: str) -> TaskTree:
        """The tree that holds a task, as it stands.

        Raises:
            NotFound: There is no such task.
        """
        return (await self._keeper.find(task_id))[1]

    async def recover(self) -> Recovered:
        """Clear up after a process that is gone: what it left in progress goes back to pending, in one transaction.

        A task that must not run twice fails instead, and so does one that was cut off too often; one whose cancellation was
        acknowledged is cancelled. None of it runs again before `resume` is called.
        """
        trees = [
            tree for tree_id in await self._keeper.storage.open_trees() if (tree := await self._keeper.storage.tree(tree_id))
        ]
        cut_off = {
            tree.id: [t for t in tree if t.status is TaskStatus.IN_PROGRESS and t.executor is not None] for tree in trees
        }
        lives = [await self._keeper.own(tree, None) for tree in trees if cut_off[tree.id]]
        for live in lives:
            for task in cut_off[live.tree.id]:
                if resolved := await self._keeper.storage.resolved(live.tree.id, task.n):
                    live.prepared[task.n] = resolved
        cancelled = [await self._cancelled(live) for live in lives]
        for live, covered in zip(lives, cancelled, strict=True):
            self._keeper.schedule.add(live, live.tasks)
            for task in cut_off[live.tree.id]:
                if task.n in covered:
                    self._keeper.runner.refuse(live, task.n)
                else:
                    self._keeper.runner.lose(live, task.n, "the process that ran it is gone")
            self._keeper.schedule.remove(live)
        await asyncio.gather(*(self._keeper.journal.stored(live.tree.id) for live in lives))
        for live in lives:
            self._keeper.forget(live)
        unfinished = sum(not tree.status.settled for tree in trees)
        return Recovered(trees=unfinished, tasks=sum(map(len, cut_off.values())))

    async def _cancelled(self, live: LiveTree) -> set[int]:
        """The tasks of a tree whose cancellation was requested in this run."""
        covered: set[int] = set()
        after = 0
        while page := await self._keeper.storage.events(live.tree.id, after):
            for event in page:
                if event.type == "cancel_requested" and event.run == live.run and event.task_id is not None:
                    covered.update(live.subtree(live.tree[event.task_id].n))
            after = page[-1].seq
        return covered

    async def resume(self, tree_id: str | None = None) -> list[TaskTree]:
        """Go on with a tree whose execution was requested and has not ended, or with all of them.

        Returns:
            The trees that run now.

        Raises:
            NotFound: It is not stored.
            InvalidTransition: There is nothing to go on with.
            Overloaded: The engine is about to stop.
        """
        self._admit()
        open_trees = await self._keeper.storage.open_trees()
        if tree_id is not None and tree_id not in open_trees:
            tree = await self._keeper.stored_tree(tree_id)
            raise InvalidTransition(f"tree {tree_id!r} is {tree.status}; there is nothing to go on with")
        asked = open_trees if tree_id is None else [tree_id]
        for open_id in asked:
            if open_id not in self._keeper.live:
                await self._take_up(open_id)
        return [live.tree for open_id in asked if (live := self._keeper.live.get(open_id)) is not None]

    async def _take_up(self, tree_id: str) -> None:
        async with self._keeper.lock(tree_id):
            tree = await self._keeper.stored_tree(tree_id)
            if tree_id in self._keeper.live or tree.status.settled:
                return  # somebody else was faster
            live = await self._keeper.own(tree, None)
            self._keeper.transitions.take_in(live, now())
        for n in live.waiting:
            self._keeper.arm(live, n)
        self._keeper.journal.due()

    async def drain(self) -> None:
        """Start nothing more, refuse what is new, and give what runs `drain_timeout` seconds to end and be stored."""
        self.hold()
        with suppress(TimeoutError, StorageUnavailable):
            async with asyncio.timeout(self._drain_timeout):
                await self._keeper.journal.stored("")  # what was claimed before has begun
                while attempts := [attempt.handle for live in self._keeper.live.values() for attempt in live.running.values()]:
                    await asyncio.wait(attempts)
                    await self._keeper.journal.stored("")

    def hold(self) -> None:
        """Start nothing more, and refuse what is new."""
        self._keeper.journal.draining = True

    def _admit(self) -> None:
        if self._keeper.journal.draining:
            raise Overloaded("the engine is about to stop; try again once it has been started anew")
        self._keeper.journal.admit()

    async def close(self) -> None:
        """Stop what runs, write what is due, and end. What did not settle is left, pending, to the next engine."""
        await self._keeper.close()

    async def _request(self, tree_id: str, actor: str | None, fresh: TaskTree | None) -> LiveTree:
        async with self._keeper.lock(tree_id):
            self._admit()
            if tree_id in self._keeper.live:
                raise AlreadyExecuting(f"tree {tree_id!r} is being executed already")
            live = None if fresh is None else self._keeper.take_created(fresh)
            if live is None:
                tree = await self._keeper.stored_tree(tree_id)
                if tree.status.settled:
                    rule = "only a pending tree can be executed"
                    raise InvalidTransition(f"tree {tree_id!r} has run and is {tree.status}; {rule}")
                if tree.status is not TaskStatus.PENDING:
                    raise AlreadyExecuting(f"tree {tree_id!r} is {tree.status}: its execution was requested; resume it")
                live = await self._keeper.own(tree, None)
            self._keeper.request(live, actor)
        await self._keeper.journal.stored(tree_id)
        return live


def _under(tree: TaskTree, task: Task) -> list[Task]:
    found = [task]
    for other in found:
        found.extend(tree.children(other))
    return found
