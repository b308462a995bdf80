"""The keeper: the trees that run, from being taken in to being let go, and what happens to them after each commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from apflow.config import Settings
from apflow.events import Events
from apflow.execution import Execution
from apflow.host import Host
from apflow.journal import Journal, Written
from apflow.live import LiveTree
from apflow.plan import Plan
from apflow.runner import Runner
from apflow.schedule import Schedule
from apflow.showing import show
from apflow.transitions import Transitions, now
from apflow_hookspecs import Change, Storage, TaskTree
from apflow_hookspecs.errors import NotFound

log = logging.getLogger("apflow.keeper")

LONGEST_NAP = 60.0
"""Seconds after which a waiting task's clock is looked at again."""


class Keeper:
    """Keeps live trees, and the machinery that they share.

    Args:
        storage: Where they are kept.
        host: The plugins.
        settings: Limits and times.
        token: This engine's, as owner of the trees that it runs.
        owner: This process, for people.
    """

    def __init__(self, storage: Storage, host: Host, settings: Settings, *, token: str, owner: str) -> None:
        self.storage = storage
        self._host = host
        self.token = token
        self.owner = owner
        self.live: dict[str, LiveTree] = {}
        self.schedule: Schedule[LiveTree] = Schedule(settings.max_concurrency, settings.limits)
        self.transitions = Transitions(self.schedule)
        self.journal = Journal(
            storage, self.transitions, self.schedule, written=self._written, lost=self._lost, failed=self._failed
        )
        self.runner = Runner(host, settings, self.transitions, self.journal, storage)
        self.events = Events(storage, host, self._shown)
        self._created: WeakValueDictionary[str, TaskTree] = WeakValueDictionary()
        """Trees that were just created here: they need not be read again to be run."""
        self._plans: WeakKeyDictionary[TaskTree, Plan] = WeakKeyDictionary()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._stopping: set[asyncio.Task[None]] = set()
        self._closing = False

    def lock(self, tree_id: str) -> asyncio.Lock:
        """Held by whoever makes a tree a live one, or deletes it: from looking at what is stored until that is decided."""
        return self._locks.setdefault(tree_id, asyncio.Lock())

    def created(self, tree: TaskTree, plan: Plan) -> None:
        """A tree was stored, and is not to run yet."""
        self._created[tree.id] = tree
        self._plans[tree] = plan

    def _shown(self, tree_id: str) -> int | None:
        live = self.live.get(tree_id)
        return None if live is None else live.tree.last_event

    def request(self, live: LiveTree, actor: str | None) -> None:
        """The execution of a tree was asked for; its history will tell which plugins were there to run its tasks."""
        plugins = {executor: self._provider(executor) for executor in sorted(set(live.executors)) if executor}
        self.transitions.requested(live, actor, plugins)

    def _provider(self, executor: str) -> str | None:
        try:
            plugin = self._host.provider("executor", executor)
        except KeyError:
            return None
        return f"{plugin.distribution} {plugin.version}" if plugin.distribution else plugin.name

    def take_created(self, tree: TaskTree) -> LiveTree | None:
        """A tree whose object shows what is stored, for it was created here and nothing has happened to it since."""
        plan = self._plans.pop(tree, None)
        if plan is None:
            return None
        live = self.live[tree.id] = LiveTree(tree, plan, self.token, held=())
        return live

    async def own(self, tree: TaskTree, plan: Plan | None = None, execution: Execution | None = None) -> LiveTree:
        """Make a stored tree a live one of this engine, for its latest execution or for a new one.

        The caller holds the tree's lock, and hands the tree to the schedule before it waits for anything; in recovery, before
        anybody else can ask for a tree, neither is needed.

        Raises:
            NotFound: It was deleted meanwhile.
        """
        self.outdate(tree.id)
        if not await self.storage.acquire(tree.id, self.token, self.owner):
            raise NotFound(f"there is no tree {tree.id!r}")
        tree.token, tree.owner = self.token, self.owner
        chosen = {} if execution is None else {"held": execution.held, "again": execution.again}
        live = self.live[tree.id] = LiveTree(tree, plan or Plan.of(tree), self.token, **chosen)
        return live

    @asynccontextmanager
    async def writing(self, running: LiveTree | None, tree: TaskTree) -> AsyncIterator[LiveTree]:
        """The live tree, to write down what happens to it; one that nobody runs is let go again, and nothing of it starts.

        The caller holds the tree's lock, and waits for nothing in the block. Errors as of `own`.
        """
        if running is not None:
            yield running
            return
        live = await self.own(tree)
        self.transitions.take_in(live, now())
        try:
            yield live
        finally:
            self.schedule.remove(live)
            self.transitions.leaves(live)
            self.journal.due()  # also where the block wrote nothing: who comes next waits until it is let go

    def outdate(self, tree_id: str) -> None:
        """A tree that was created here changes: the objects that its creator holds no longer show it."""
        tree = self._created.pop(tree_id, None)
        if tree is not None:
            self._plans.pop(tree, None)

    async def stored_tree(self, tree_id: str) -> TaskTree:
        """A tree as it is stored.

        Raises:
            NotFound: It is not.
        """
        tree = await self.storage.tree(tree_id)
        if tree is None:
            raise NotFound(f"there is no tree {tree_id!r}")
        return tree

    async def find(self, task_id: str) -> tuple[LiveTree | None, TaskTree]:
        """The tree that holds a task, as it stands, and, where it runs, the live one.

        Raises:
            NotFound: There is no such task.
        """
        return await self._stands(await self._tree_of(task_id), task_id)

    @asynccontextmanager
    async def held(self, task_id: str) -> AsyncIterator[tuple[LiveTree | None, TaskTree]]:
        """What `find` finds; while it is held, nobody else makes the tree a live one or deletes it.

        Raises:
            NotFound: There is no such task.
        """
        tree_id = await self._tree_of(task_id)
        async with self.lock(tree_id):
            await self.staying(tree_id)
            yield await self._stands(tree_id, task_id)

    async def staying(self, tree_id: str) -> LiveTree | None:
        """The live tree, for who holds its lock; one that is about to be let go has been by then."""
        live = self.live.get(tree_id)
        if live is not None and live.leaving:
            await asyncio.wait([live.ended])
        return self.live.get(tree_id)

    async def _tree_of(self, task_id: str) -> str:
        if task_id in self.live:
            return task_id
        task = await self.storage.task(task_id)
        if task is None:
            raise NotFound(f"there is no task {task_id!r}")
        return task.tree_id

    async def _stands(self, tree_id: str, task_id: str) -> tuple[LiveTree | None, TaskTree]:
        live = self.live.get(tree_id)
        stored = await self.stored_tree(tree_id) if live is None else None
        live = self.live.get(tree_id)
        tree = live.tree if live is not None else stored
        if tree is None or task_id not in tree:  # it was taken out since it was looked for
            raise NotFound(f"there is no task {task_id!r}")
        return live, tree

    def forget(self, live: LiveTree) -> None:
        """Let a tree go: nothing of it starts any more, and those who wait for its end are told."""
        self._rest(live)
        self.live.pop(live.tree.id, None)
        if not live.ended.done():
            live.ended.set_result(live.tree)

    def _rest(self, live: LiveTree) -> None:
        self.schedule.remove(live)
        for timer in live.timers.values():
            timer.cancel()

    def arm(self, live: LiveTree, n: int) -> None:
        """Set the clock for a task that waits, where it waits for an instant."""
        wait = live.tasks[n].wait
        if wait is not None and wait.at is not None:
            # A clock that is set back or forth in between is noticed within a minute.
            delay = min(max(0.0, (wait.at - now()) / 1_000_000), LONGEST_NAP)
            self.disarm(live, n)
            live.timers[n] = asyncio.get_running_loop().call_later(delay, self._wake, live, n)

    @staticmethod
    def disarm(live: LiveTree, n: int) -> None:
        """Stop the clock of a task."""
        timer = live.timers.pop(n, None)
        if timer is not None:
            timer.cancel()

    def _wake(self, live: LiveTree, n: int) -> None:
        del live.timers[n]
        wait = live.tasks[n].wait
        if n not in live.waiting or wait is None or wait.at is None:
            return
        if wait.at > now():
            self.arm(live, n)
            return
        if wait.kind == "input":
            error: dict[str, Any] = {"code": "timeout", "message": "nobody answered in time", "details": None}
            self.transitions.failed(live, n, error, was="waiting")
        else:
            self.transitions.resumes(live, n)
        self.journal.due()

    async def close(self) -> None:
        """Stop what runs, write what is due, and end. What did not settle is left, pending, to the next engine."""
        self._closing = True
        for live in self.live.values():
            self._rest(live)
        attempts = [attempt for live in self.live.values() for attempt in live.running.values()]
        cancelled = [attempt.cancelled for attempt in attempts]
        await self.runner.drop(attempts)
        self.runner.close()
        if self.journal.failure is None:
            for attempt, was_cancelled in zip(attempts, cancelled, strict=True):
                self._leave(attempt.live, attempt.n, cancelled=was_cancelled)
        await self.journal.close()
        await self.events.close()
        for live in self.live.values():
            live.ended.cancel()

    def _leave(self, live: LiveTree, n: int, *, cancelled: bool) -> None:
        """A claimed task does not run on here, for the engine closes."""
        if cancelled:
            self.runner.refuse(live, n)
        else:
            self.transitions.drained(live, n)
            self.journal.due()

    def _written(self, written: Written) -> None:
        """A batch is stored: show it, tell it, start what was claimed."""
        for tree_id, change in written.batch.changes.items():
            live = self.live.get(tree_id)
            if live is not None:
                self._show(live, change)
            self.events.stored(tree_id, change, live.tasks if live is not None else ())
        for live, n in written.starts:
            if n in live.cancelling or self._closing:
                self._leave(live, n, cancelled=n in live.cancelling)
            else:
                self.runner.start(live, n)
        for live in written.ended:
            self.forget(live)
        for tree_id, _, numbers in written.batch.deletes:
            if numbers is None:
                self.events.lost(tree_id, NotFound(f"tree {tree_id!r} was deleted"))

    def _show(self, live: LiveTree, change: Change) -> None:
        show(live, change)
        for move in change.moves:
            if move[2] == "waiting":
                self.arm(live, move[0])
        for n in live.cancelling & live.running.keys():
            self.runner.stop(live.running[n], "cancelled")

    def _lost(self, tree_id: str, error: Exception) -> None:
        """A tree could not be written: nothing more of it starts, and those who wait for it are told."""
        live = self.live.get(tree_id)
        if live is None:
            return
        self._tell(live, error)
        self.events.lost(tree_id, error)
        self.transitions.withdraw(live)
        stopping = asyncio.get_running_loop().create_task(self.runner.drop(list(live.running.values())))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        self.forget(live)

    def _failed(self, error: Exception) -> None:
        """Nothing can be written any more: all who wait are told."""
        log.error("%s", error)
        for live in self.live.values():
            self.schedule.remove(live)
            self._tell(live, error)
        self.events.end_watching(error)

    @staticmethod
    def _tell(live: LiveTree, error: Exception) -> None:
        if not live.ended.done():
            live.ended.set_exception(error)
            live.ended.exception()  # seen: that nobody waits for it is no fault
