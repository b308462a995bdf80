"""Running trees to their end, and showing how they go, wherever the engine is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import click
from attrs import define, field

from apflow.cli.asking import Asker
from apflow.cli.failures import ExitCode
from apflow.cli.following import Follower, Lines, Silent, labels
from apflow.cli.keyboard import keyboard
from apflow.cli.output import print_json, print_lines, say
from apflow.cli.questions import Question, waits_for_answer
from apflow.cli.reaching import Operations
from apflow.cli.summary import summary
from apflow.cli.text import duration
from apflow.escaping import escaped
from apflow.remote import ConnectionLost, RemoteEngine
from apflow_hookspecs import EMPTY, SETTLED, Caller, Json, TaskStatus
from apflow_hookspecs.errors import InvalidTransition

Tree = Mapping[str, Json]
Begin = Callable[[Operations], Awaitable[Sequence[Tree]]]
"""Asks for the execution of trees, and answers how they stand: flat, with the number of the latest event that each shows."""


@define
class Followed:
    """A tree, what shows it, and how far it was shown."""

    tree: Tree
    shown: Follower
    seen: int


@define
class Pursuit:
    """Trees that are run to their end, shown, and asked for: a `Job` for `Session.follow`, and a context for the display.

    Args:
        begin: Called until it has answered.
        json: Only the settled trees are printed, by `end`.
        within: Seconds after which the trees are cancelled.
        mine: Whether this command alone asked for them: interrupted, it cancels them where another process runs them.
        resumable: Whether `begin` may be called again when nobody knows what became of it.
        end: Prints what became of them.
    """

    begin: Begin
    json: bool = False
    within: float | None = None
    mine: bool = True
    resumable: bool = False
    end: Callable[[Sequence[Tree]], None] | None = None
    _followed: list[Followed] | None = field(default=None, init=False)
    _deadline: float | None = field(default=None, init=False)
    _begun: asyncio.Event = field(factory=asyncio.Event, init=False)
    _display: ExitStack = field(factory=ExitStack, init=False)
    _asker: Asker = field(init=False)

    @_asker.default
    def _asker_here(self) -> Asker:
        return Asker(None if self.json else keyboard(), self._paused)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._display.close()

    async def work(self, engine: Operations) -> ExitCode:
        """Run the trees, or go on with those that have not settled.

        Returns:
            `DONE` when all completed; `WAITING` when nothing is left of some but questions, which nobody here answers; else
            `INCOMPLETE`.
        """
        if self._followed is None:
            self._follow(await self.begin(engine))
        else:
            for followed in self._open():
                await resumed(engine, followed.tree["id"])
        await self._in_time(engine)
        self._display.close()
        trees = [followed.tree for followed in self._followed or ()]
        if self.end is not None:
            self.end(trees)
        for tree in trees:
            for line in _advice(tree):
                say(line)
        return _exit_code({_outcome(tree) for tree in trees})

    async def leave(self, owner: RemoteEngine, work: asyncio.Task[ExitCode]) -> None:
        """A signal came while another process runs the trees: cancel them, or leave them to it."""
        begun = asyncio.create_task(self._begun.wait())
        await asyncio.wait({begun, work}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        trees = [followed.tree["id"] for followed in self._open()]
        if not trees:
            return
        if not self.mine:
            say(f"{owner.place} goes on with {_named(trees)}")
            return
        say(f"interrupted: cancelling {_named(trees)} in {owner.place}")
        await owner.call("tasks.cancel", {"task_ids": trees}, Caller.local())
        await asyncio.wait({work})

    def _follow(self, trees: Sequence[Tree]) -> None:
        many = len(trees) > 1
        self._followed = [
            Followed(tree, self._display.enter_context(follower(tree, json=self.json, many=many)), tree["last_event"])
            for tree in trees
        ]
        for tree in trees:
            self._asker.follow(tree, _before(tree) if many else "")
        if self.within is not None:
            self._deadline = asyncio.get_running_loop().time() + self.within
        self.resumable = True
        self._begun.set()

    def _open(self) -> list[Followed]:
        return [followed for followed in self._followed or () if followed.tree["status"] not in SETTLED]

    async def _in_time(self, engine: Operations) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._shown(engine)
        except TimeoutError:
            self._deadline = None
            late = [followed.tree["id"] for followed in self._open()]
            await engine.call("tasks.cancel", {"task_ids": late}, Caller.local())
            await self._shown(engine)
            say(f"error: not done within {duration(self.within or 0)}, and cancelled")

    async def _shown(self, engine: Operations) -> None:
        """Show what happens to the end of each tree's run, and ask, as long as anything happens or can be asked."""
        showing = asyncio.create_task(self._all_shown(engine))
        asking = asyncio.create_task(self._asker.ask(engine, partial(self._resting, engine)))
        try:
            over, _ = await asyncio.wait({showing, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (showing, asking):
                task.cancel()
            await asyncio.gather(showing, asking, return_exceptions=True)
        for task in over:
            task.result()

    async def _all_shown(self, engine: Operations) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for followed in self._open():
                    group.create_task(self._one_shown(engine, followed))
        except BaseExceptionGroup as errors:
            lost = errors.subgroup(ConnectionLost)
            raise (lost or errors).exceptions[0] from None

    async def _one_shown(self, engine: Operations, followed: Followed) -> None:
        async with aclosing(engine.watch(followed.tree["id"], followed.seen)) as events:  # type: ignore[type-var]
            async for event in events:
                followed.seen = event.seq
                followed.shown.show(event)
                self._asker.note(event)
        followed.tree = await flat(engine, followed.tree["id"])
        self._asker.look()

    async def _resting(self, engine: Operations) -> bool:
        """Whether nothing is left of the trees but questions; they are then kept as they stand."""
        standing = [(followed, await flat(engine, followed.tree["id"])) for followed in self._open()]
        if not standing or not all(_only_asks(tree) for _, tree in standing):
            return False
        for followed, tree in standing:
            followed.tree = tree
        return True

    @contextmanager
    def _paused(self) -> Iterator[None]:
        with ExitStack() as held:
            for followed in self._followed or ():
                held.enter_context(followed.shown.paused())
            yield


def _only_asks(tree: Tree) -> bool:
    waiting = [task for task in tree["tasks"] if task["status"] == TaskStatus.WAITING]
    return tree["status"] == TaskStatus.WAITING and all(map(waits_for_answer, waiting))


def _advice(tree: Tree) -> Iterator[str]:
    """How a tree of which only questions are left is gone on with."""
    if tree["status"] == TaskStatus.WAITING:
        names = labels(tree["tasks"])
        for task in filter(waits_for_answer, tree["tasks"]):
            yield from Question.of(task, names[task["id"]]).advice()


def _outcome(tree: Tree) -> str:
    """The tree's status; of a part of it that was asked to run, whether that completed."""
    ran = {task["status"] for task in tree["tasks"] if task["run"] == tree["run"] and task["executor"] is not None}
    part = tree["status"] == TaskStatus.PENDING and ran == {TaskStatus.COMPLETED}
    return TaskStatus.COMPLETED if part else str(tree["status"])


def _exit_code(statuses: set[str]) -> ExitCode:
    if TaskStatus.WAITING in statuses:
        return ExitCode.WAITING
    return ExitCode.DONE if statuses <= {TaskStatus.COMPLETED} else ExitCode.INCOMPLETE


async def flat(engine: Operations, task_id: str) -> Tree:
    """The tree that holds a task, with its tasks in an array and the number of the latest event that it shows."""
    tree: Tree = await engine.call("tasks.tree", {"task_id": task_id, "flat": True}, Caller.local())
    return tree


async def executed(engine: Operations, task_id: str, *, rerun: bool = False) -> list[Tree]:
    """Ask for the execution of a stored tree, or of a task of one; how its tasks stood before."""
    before = await flat(engine, task_id)
    await engine.call("tasks.execute", {"task_id": task_id, "rerun": rerun}, Caller.local())
    return [{**before, "status": TaskStatus.IN_PROGRESS.value}]


async def resumed(engine: Operations, tree_id: str) -> bool:
    """Have a tree gone on with; False when there is nothing to go on with."""
    try:
        await engine.call("tasks.resume", {"task_id": tree_id}, Caller.local())
    except InvalidTransition:
        return False
    return True


def follower(tree: Tree, *, json: bool, many: bool = False) -> Follower:
    """What shows a run here: nothing for machines, a live tree on a terminal with rich, else plain lines.

    Args:
        tree: As it stands.
        json: For machines.
        many: Others are shown beside it: lines, which say to which tree they belong.
    """
    if json:
        return Silent()
    if many:
        return Lines(labels(tree["tasks"]), click.echo, _before(tree))
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            from apflow.cli.live import LiveTree  # noqa: PLC0415 - rich is an extra
        except ModuleNotFoundError:
            pass
        else:
            return LiveTree(tree)
    return Lines(labels(tree["tasks"]), click.echo)


def _before(tree: Tree) -> str:
    """What tells the tasks of one tree from those of others."""
    return f"{escaped(tree['tasks'][0]['name'])}: "


def pursuit_of_one(begin: Begin, *, json: bool, within: float | None = None, told: Mapping[str, Json] = EMPTY) -> Pursuit:
    """The run of one tree, which this command alone asks for; at its end the tree as JSON, or a summary.

    Args:
        begin: Asks for it.
        json: For machines.
        within: Seconds after which the tree is cancelled.
        told: What the JSON holds beside the tree; it may be filled meanwhile.
    """
    return Pursuit(begin, json=json, within=within, end=partial(_end_of_one, json=json, told=told))


def _end_of_one(trees: Sequence[Tree], *, json: bool, told: Mapping[str, Json]) -> None:
    (tree,) = trees
    if json:
        print_json({**plain(tree), **told})
    else:
        print_lines(summary(tree))


def plain(tree: Tree) -> dict[str, Any]:
    """A tree as every front end shows it."""
    return {name: value for name, value in tree.items() if name != "last_event"}


def _named(trees: Sequence[str]) -> str:
    return f"tree {trees[0]}" if len(trees) == 1 else f"{len(trees)} trees"
