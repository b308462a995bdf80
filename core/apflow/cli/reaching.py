"""The engine that works on the storage: this process's own, or that of the process which owns it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Protocol, TypeVar

from attrs import define, field

from apflow.cli.failures import Interrupted
from apflow.cli.interrupting import LAST_MOMENT, Interruption
from apflow.cli.output import say
from apflow.cli.text import duration, plural
from apflow.engine import Engine
from apflow.escaping import escaped
from apflow.recovery import Recovered
from apflow.remote import ConnectionLost, RemoteEngine, connected
from apflow_hookspecs import Caller, Event, Json
from apflow_hookspecs.errors import Overloaded, StorageOwned

R = TypeVar("R")

PATIENCE = 10.0
"""Seconds for which an owner may be out of reach: while it starts or ends, or is a command that is over in a moment."""
PAUSE = 0.1


class Operations(Protocol):
    """What a command works through, wherever the engine is."""

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:
        """Run an operation of the catalogue."""
        ...

    def watch(self, tree_id: str, after: int = 0) -> AsyncIterator[Event]:
        """A tree's events from number `after` + 1 on, to the end of its latest run."""
        ...


class Job(Protocol[R]):
    """Work that takes its time: it is shown to others while it goes on, and goes on elsewhere when the owner is gone."""

    @property
    def resumable(self) -> bool:
        """Whether another engine can go on with it, now."""
        ...

    async def work(self, engine: Operations) -> R:
        """Do it, or go on with it."""
        ...

    async def leave(self, owner: RemoteEngine, work: asyncio.Task[R]) -> None:
        """A signal came while another process does the work."""
        ...


@define
class Reach:
    """How a command gets to an engine.

    Args:
        open: Opens the storage here; with True the engine is served to others.
        interruption: The signals.
        distant: Reaches the server that is to do it instead; None where it is done on this machine.
    """

    open: Callable[[bool], AbstractAsyncContextManager[Engine]]
    interruption: Interruption
    distant: Callable[[], AbstractAsyncContextManager[RemoteEngine]] | None = None
    _lost: RemoteEngine | None = field(default=None, init=False)
    """The owner that went away."""
    _waited: bool = field(default=False, init=False)

    async def briefly(self, work: Callable[[Operations], Awaitable[R]], *, again: bool) -> R:
        """Do something that is over in a moment; with `again` it may be repeated when the owner goes away meanwhile."""

        async def own(engine: Engine) -> R:
            tell(engine.recovered)
            return await work(engine)

        return await self._reached(own, work, served=False, again=lambda: again)

    async def lastingly(self, job: Job[R]) -> R:
        """Do a job here, being there for other commands, or through the owner."""
        own, through = partial(self._hosted, job=job), partial(self._led, job=job)
        return await self._reached(own, through, served=True, again=lambda: job.resumable)

    async def _reached(
        self,
        own: Callable[[Engine], Awaitable[R]],
        through: Callable[[RemoteEngine], Awaitable[R]],
        *,
        served: bool,
        again: Callable[[], bool],
    ) -> R:
        clock = asyncio.get_running_loop().time
        until, lost, pid = clock() + PATIENCE, False, None
        while True:
            try:
                return await self._once(own, through, served=served)
            except StorageOwned as owned:
                if owned.pid != pid:  # one after the other has it open for a moment
                    until, pid = clock() + PATIENCE, owned.pid
                if clock() > until or (self.distant is not None and not lost):
                    raise
            except ConnectionLost:
                if not again():
                    who = "the process that owns the storage" if self.distant is None else "the server"
                    raise StorageOwned(f"{who} ended before it answered; see what is done") from None
                until, lost = clock() + PATIENCE, True
            except Overloaded:  # it is about to end
                if not self._waited:
                    self._waited = True
                    who = "the process that owns the storage" if self.distant is None else "the server"
                    say(f"{who} is about to end; waiting for it")
                until = clock() + PATIENCE
            await asyncio.sleep(random.uniform(PAUSE / 2, PAUSE))  # noqa: S311 - no secret hangs on it

    async def _once(
        self,
        own: Callable[[Engine], Awaitable[R]],
        through: Callable[[RemoteEngine], Awaitable[R]],
        *,
        served: bool,
    ) -> R:
        if self.distant is not None:
            async with self.distant() as server:
                return await through(server)
        async with AsyncExitStack() as stack:
            try:
                engine = await stack.enter_async_context(self.open(served))
            except StorageOwned as owned:
                owner = await stack.enter_async_context(connected(owned))
            else:
                return await own(engine)
            return await through(owner)

    async def _hosted(self, engine: Engine, job: Job[R]) -> R:
        tell(engine.recovered, going_on=job.resumable)
        if self._lost is not None:
            say(f"{self._lost.place} is gone; this one goes on")
            self._lost = None
        with self.interruption.noted() as asked:
            work = asyncio.create_task(_worked(engine, job))
            await _first(work, asked)
            if not asked.is_set():
                return await work
            await _drained(engine, work)
            await _ended(work)
            raise Interrupted

    async def _led(self, owner: RemoteEngine, job: Job[R]) -> R:
        if self._lost is not None:
            say(f"{self._lost.place} is gone; {owner.place} goes on")
            self._lost = None
        with self.interruption.noted() as asked:
            work = asyncio.create_task(_as_coroutine(job.work(owner)))
            try:
                await _first(work, asked)
                if not asked.is_set():
                    return await work
                await job.leave(owner, work)
            except ConnectionLost:
                self._lost = owner
                if not asked.is_set():
                    raise
            finally:
                await _ended(work)
            raise Interrupted


async def _as_coroutine(work: Awaitable[R]) -> R:
    return await work


async def _worked(engine: Engine, job: Job[R]) -> R:
    """A job's result, once nobody else needs the engine either."""
    result = await job.work(engine)
    others = sum(tree.status != "waiting" for tree in engine.manager.running())
    if others:
        say(f"done; {plural(others, 'tree')} of other commands {_is(others)} still run here, and {_is(others)} waited for")
    await engine.linger()
    await engine.manager.drain()  # whoever comes now finds the door closed, and waits for the storage
    return result


async def _drained(engine: Engine, work: asyncio.Task[R]) -> None:
    running = sum(task.status == "in_progress" and not task.is_group for tree in engine.manager.running() for task in tree)
    if running:
        time = duration(engine.settings.drain_timeout)
        say(f"interrupted: {plural(running, 'task')} may end within {time}, and nothing more starts; once more ends it at once")
    await engine.manager.drain()
    left = [tree.id for tree in engine.manager.running() if not tree.status.settled]
    if not left:
        await asyncio.wait({work}, timeout=LAST_MOMENT)  # it has an end to tell
    elif len(left) == 1:
        say(f"tree {left[0]} is not finished: `apflow resume {left[0]}` goes on with it")
    else:
        say(f"{plural(len(left), 'tree')} are not finished: `apflow resume` goes on with them")


async def _first(work: asyncio.Task[R], asked: asyncio.Event) -> None:
    """Until the work is over or a signal has come."""
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(waiting)


async def _ended(task: asyncio.Task[R]) -> None:
    """Cancel a task, and wait for it; what it raised was said already, or does not matter any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def tell(recovered: Recovered, *, going_on: bool = False) -> None:
    """Say what an earlier process had left behind; where this one goes on with it, that needs no advice."""
    for tree in recovered.ended:
        say(f"tree {escaped(tree.id)} has {tree.status}: an earlier process left it, and what it left may not run again")
    if not recovered.tasks:
        return
    told = f"recovered {plural(recovered.tasks, 'task')} that an earlier process left in progress"
    if recovered.trees and not going_on:
        them = "it" if recovered.trees == 1 else "them"
        told += f"; {plural(recovered.trees, 'tree')} {_is(recovered.trees)} not finished: `apflow resume` goes on with {them}"
    say(told)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
