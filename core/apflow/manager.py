"""The manager: what can be asked of trees. It is what the earlier system's users know; the keeper does the rest."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from apflow.answers import refuse_misfits
from apflow.execution import of_task, of_tree
from apflow.explaining import Explanation, explain
from apflow.journal import taken
from apflow.keeper import Keeper
from apflow.live import LiveTree
from apflow.plan import Plan, numbered
from apflow.recovery import Recovered, recover
from apflow.transitions import now
from apflow.values import BadValue, checked
from apflow_hookspecs import Json, Problem, RecordWrite, Task, TaskStatus, TaskTree, Wait, rfc3339
from apflow_hookspecs.errors import (
    AlreadyExecuting,
    CannotDelete,
    InvalidParams,
    InvalidTransition,
    Overloaded,
    StorageUnavailable,
    WrongAnswer,
)

log = logging.getLogger("apflow.manager")


class TaskManager:
    """Runs trees of tasks, as many side by side as there are slots.

    Args:
        keeper: Keeps those that run.
        drain_timeout: Seconds that running tasks have to end, when the engine is to stop.
    """

    def __init__(self, keeper: Keeper, drain_timeout: float) -> None:
        self._keeper = keeper
        self._drain_timeout = drain_timeout

    async def distribute_task_tree(self, tree: TaskTree, *, rerun: bool = False) -> TaskTree:
        """Run a tree to the end of this run: all of it, or what an earlier run did not complete, with all that depends on it.

        Args:
            tree: A stored tree.
            rerun: All of it once more, whatever it came to.

        Returns:
            The tree, settled.

        Raises:
            AlreadyExecuting: It runs, or its execution was requested and has not ended.
            InvalidTransition: All of it has completed, and `rerun` was not asked for.
            CannotDelete: It is archived.
            NotFound: It is not stored.
        """
        live = await self._begun(tree) or await self._requested(tree.id, None, rerun=rerun)
        return await asyncio.shield(live.ended)

    async def execute(
        self, task_id: str, *, rerun: bool = False, actor: str | None = None, note: RecordWrite | None = None
    ) -> TaskTree:
        """Ask for the execution of a tree, or of one task in it; returns once that is stored, with `note` where there is one.

        One task runs with what it needs and has not completed, and what depends on it and has run. A root's id means the tree.
        Errors as of `distribute_task_tree`.
        """
        return (await self._requested(task_id, actor, rerun=rerun, note=note)).tree

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

    async def insert(
        self,
        tree: TaskTree,
        plan: Plan,
        *,
        actor: str | None = None,
        execute: bool = False,
        note: RecordWrite | None = None,
    ) -> None:
        """Store a new tree, ask for its execution with `execute`, and store a record with it, all in one transaction.

        Raises:
            InvalidTask: An id of it exists already.
        """
        async with self._keeper.lock(tree.id):
            self._admit()
            if tree.id in self._keeper.live or tree.id in self._keeper.transitions.batch.changes:
                raise taken([tree.id])
            tree.token, tree.owner = self._keeper.token, self._keeper.owner
            self._keeper.transitions.created(tree, actor)
            self._keeper.transitions.note(tree.id, note)
            if execute:
                live = self._keeper.live[tree.id] = LiveTree(tree, plan, self._keeper.token, held=())
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
            CannotDelete: The tree is archived, and not all of it has settled.
        """
        async with self._keeper.held(task_id) as (running, tree):
            if running is None and all(task.status.settled for task in tree):
                plan = Plan.of(tree)
                return [numbered(tree)[n] for n in plan.subtree(tree[task_id].n)]
            refuse_archived(tree, "cancelled")
            async with self._keeper.writing(running, tree) as live:
                numbers = live.plan.subtree(live.tree[task_id].n)
                self._keeper.transitions.cancelled(live, numbers, actor)
        await self._keeper.journal.stored(live.tree.id)
        return [live.tasks[n] for n in numbers]

    async def answer(self, task_id: str, answer: Json, *, actor: str | None = None) -> Task:
        """Answer what a task waits for, so that it goes on; where nobody runs its tree, `resume` does.

        Returns:
            The task, as it stands once the answer is stored.

        Raises:
            NotFound: There is no such task.
            InvalidTransition: It does not wait for an answer.
            WrongAnswer: The answer does not fit the wait's schema; the task keeps waiting.
        """
        async with self._keeper.held(task_id) as (running, tree):
            n = tree[task_id].n
            wait = _question(tree[task_id], running)
            answer = _as_json(answer, tree[task_id])
            refuse_misfits(answer, wait, tree[task_id])
            async with self._keeper.writing(running, tree) as live:
                self._keeper.disarm(live, n)
                self._keeper.transitions.answered(live, n, answer, actor)
        await self._keeper.journal.stored(live.tree.id)
        return live.tasks[n]

    async def explain(self, task_id: str) -> Explanation:
        """Why a task has not started.

        Raises:
            NotFound: There is no such task.
        """
        return await explain(self._keeper, task_id)

    async def recover(self) -> Recovered:
        """Clear up after a process that is gone; nothing of what it left runs again before it is resumed."""
        return await recover(self._keeper)

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
            await self._take_up(open_id)
        return [live.tree for open_id in asked if (live := self._keeper.live.get(open_id)) is not None]

    async def _take_up(self, tree_id: str) -> None:
        async with self._keeper.held(tree_id) as (running, tree):
            if running is not None or not tree.open:
                return  # somebody else was faster
            live = await self._keeper.own(tree)
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

    async def _begun(self, tree: TaskTree) -> LiveTree | None:
        """A tree that was created here, whose object shows what is stored, and that runs now; None where it has to be read."""
        async with self._keeper.lock(tree.id):
            if self._keeper.journal.draining or self._keeper.journal.failure is not None:
                return None
            live = self._keeper.take_created(tree)
            if live is None:
                return None
            self._keeper.request(live, None)
        await self._keeper.journal.stored(tree.id)
        return live

    async def _requested(self, task_id: str, actor: str | None, *, rerun: bool, note: RecordWrite | None = None) -> LiveTree:
        keeper = self._keeper
        self._admit()
        async with keeper.held(task_id) as (running, tree):
            if rerun and task_id != tree.id:
                rule = f"is for a whole tree, and {task_id!r} is a part of tree {tree.id!r}, which runs again anyway"
                raise InvalidParams(f"rerun = True: {rule}")
            refuse_open(running, tree)
            refuse_archived(tree, "executed")
            plan = Plan.of(tree)
            execution = of_tree(plan, tree, rerun=rerun) if task_id == tree.id else of_task(plan, tree, tree[task_id].n)
            resolved = await keeper.storage.resolved(tree.id) if execution.again else {}
            live = await keeper.own(tree, plan, execution)
            live.prepared.update(resolved)
            keeper.request(live, actor)
            keeper.transitions.note(tree.id, note)
        await keeper.journal.stored(live.tree.id)
        return live


def _question(task: Task, running: LiveTree | None) -> Wait:
    wait = task.wait
    if task.status is not TaskStatus.WAITING or wait is None or wait.kind != "input":
        raise InvalidTransition(f"task {task.key!r} is {task.status}, and does not wait for an answer")
    if running is not None and task.n not in running.waiting:
        raise InvalidTransition(f"task {task.key!r} was answered or ended a moment ago")
    if wait.at is not None and wait.at <= now():
        raise InvalidTransition(f"task {task.key!r} had to be answered until {rfc3339(wait.at)}")
    return wait


def _as_json(answer: Json, task: Task) -> Json:
    try:
        return checked(answer)
    except BadValue as bad:
        problem = Problem(bad.rule, task.key, f"answer{bad.path.replace('/', '.')}", answer, WrongAnswer.code)
        raise WrongAnswer(problems=(problem,)) from None


def refuse_open(running: LiveTree | None, tree: TaskTree) -> None:
    """Refuse what may only be done to a tree that is at rest.

    Raises:
        AlreadyExecuting: It is not.
    """
    if running is not None:
        raise AlreadyExecuting(f"tree {tree.id!r} is being executed")
    if tree.open:
        raise AlreadyExecuting(f"tree {tree.id!r} is {tree.status}: its execution was requested; resume or cancel it")


def refuse_archived(tree: TaskTree, done: str) -> None:
    """Refuse what an archived tree is kept from.

    Raises:
        CannotDelete: It is archived.
    """
    if tree.archived_at is not None:
        raise CannotDelete(f"tree {tree.id!r} is archived and cannot be {done}; copy it, or take it out of the archive")
