"""The process that the kill harness kills: it opens a storage, goes on with what it finds there, and submits trees.

    python -m apflow.testing.worker FOLDER --trees 40

What it submits follows from the seed, so that each process knows what the ones before it were to do; what was acknowledged, it
looks up in the notes. On standard output it tells where it is: `opening`, then `ready`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from apflow.config import Settings
from apflow.engine import Engine, open_engine
from apflow.host import Host
from apflow.plugins import handed_over, installed
from apflow.testing.faults import Tripwire
from apflow.testing.forest import AGAIN, Submission, submission, ten_tasks
from apflow.testing.hosting import Handed
from apflow.testing.journaling import Acknowledged, Entry, JournalingExecutor, Lines, Note, instant
from apflow_hookspecs import ExecutableTask, Storage, StorageOptions, StorageScheme, hookimpl
from apflow_hookspecs.errors import AlreadyExecuting, InvalidTask, InvalidTransition

STORAGE_PLUGIN = "apflow-sqlite"
SIDE_BY_SIDE = 4
ENDED = 99
"""Exit code of a process that has ended itself."""


class Place:
    """The files of one run of the harness.

    Attributes:
        database: The storage.
        entries: What executors did.
        notes: What was acknowledged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "flow.db"
        self.entries = Lines(folder / "entries.jsonl", Entry)
        self.notes = Lines(folder / "notes.jsonl", Acknowledged)

    @property
    def url(self) -> str:
        """Of the storage."""
        return f"sqlite:///{self.database}"


async def open_storage(place: Place, *, read_only: bool = False) -> Storage:
    """The storage of a place, by the installed plugin."""
    scheme = Host(installed(allow=(STORAGE_PLUGIN,))).storages["sqlite"]
    return await scheme.open(place.url, StorageOptions(read_only=read_only))


@frozen
class Ending:
    """A plugin whose storage ends the process at a commit.

    Args:
        at: Number of the commit, from 1.
        after: Whether the commit is made first.
    """

    place: Place
    at: int
    after: bool

    @hookimpl
    def apflow_storages(self) -> Iterable[StorageScheme]:
        """The storage."""

        async def open_ending(url: str, options: StorageOptions) -> Storage:  # noqa: ARG001 - every scheme is opened so
            return cast("Storage", Tripwire(await open_storage(self.place), self.at, lambda: os._exit(ENDED), after=self.after))

        yield StorageScheme("ending", open_ending)


@asynccontextmanager
async def engine_at(place: Place, ending: Ending | None = None, **options: Any) -> AsyncIterator[Engine]:
    """An engine on the storage of a place, with the journaling executor."""
    executor = cast("ExecutableTask", JournalingExecutor(place.entries))
    handed: dict[str, object] = {"harness": Handed((executor,), (AGAIN,))}
    settings: dict[str, Any] = {"db": place.url, "max_concurrency": 8, "max_recoveries": 1_000_000, **options}
    if ending is not None:
        handed["ending"] = ending
        settings["db"] = "ending:"
    host = Host([*installed(allow=(STORAGE_PLUGIN,)), *handed_over(handed)], strict=True)
    async with open_engine(host=host, settings=Settings(**settings)) as engine:
        yield engine


async def live(
    place: Place,
    submissions: Iterable[Submission],
    *,
    ending: Ending | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """The whole life of a process: submit what was not acknowledged yet, and run everything to its end."""
    tell("opening")
    async with engine_at(place, ending) as engine:
        tell("ready")
        await engine.manager.resume()
        await submit(engine, place, submissions)
        while running := engine.manager.running():
            await engine.manager.wait(running[0].id)


async def submit(engine: Engine, place: Place, submissions: Iterable[Submission]) -> None:
    """Have trees created, executed and cancelled, as far as no process before was told that they are."""
    done = {(note.tree_id, note.note) for note in place.notes.read()}
    free = asyncio.Semaphore(SIDE_BY_SIDE)
    async with asyncio.TaskGroup() as group:
        for each in submissions:
            group.create_task(_Submitter(engine, place, each, done).submit(free))


class _Submitter:
    def __init__(self, engine: Engine, place: Place, asked: Submission, done: set[tuple[str, Note]]) -> None:
        self._engine = engine
        self._place = place
        self._asked = asked
        self._done = done

    async def submit(self, free: asyncio.Semaphore) -> None:
        async with free:
            if not self._told("created"):
                await self._create()
            if not self._told("requested"):
                await self._request()
        cancel = self._asked.cancel
        if cancel is not None and not self._told("cancelled"):
            await asyncio.sleep(self._asked.cancel_after)
            await self._engine.manager.cancel(cancel)
            self._note("cancelled", cancel)

    def _told(self, note: Note) -> bool:
        return (self._asked.tree_id, note) in self._done

    def _note(self, note: Note, task_id: str) -> None:
        tree_id, tasks = self._asked.tree_id, len(self._asked.tasks)
        self._place.notes.append(Acknowledged(at=instant(), note=note, tree_id=tree_id, task_id=task_id, tasks=tasks))

    async def _create(self) -> None:
        try:
            await self._engine.creator.create_task_tree_from_array(self._asked.tasks, execute=self._asked.at_once)
        except InvalidTask:
            await self._engine.tree(self._asked.tree_id)  # it was stored, and the process died before it was told
        self._note("created", self._asked.tree_id)

    async def _request(self) -> None:
        with suppress(AlreadyExecuting, InvalidTransition):  # it was, with its creation or before the process died
            await self._engine.manager.execute(self._asked.tree_id)
        self._note("requested", self._asked.tree_id)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m apflow.testing.worker", description="A process to be killed.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trees", type=int, help="submit the trees below this number; by default one of ten tasks")
    parser.add_argument("--stay", action="store_true", help="stay when all is done")
    parser.add_argument("--end-at", type=int, metavar="N", help="end the process at the N-th commit")
    parser.add_argument("--after", action="store_true", help="right after it instead of right before")
    options = parser.parse_args()
    place = Place(options.folder)
    ending = None if options.end_at is None else Ending(place, options.end_at, options.after)
    if options.trees is None:
        submissions = [ten_tasks()]
    else:
        submissions = [submission(options.seed, number) for number in range(options.trees)]
    asyncio.run(_program(place, submissions, ending, stay=options.stay))


async def _program(place: Place, submissions: list[Submission], ending: Ending | None, *, stay: bool) -> None:
    await live(place, submissions, ending=ending, tell=lambda word: print(word, flush=True))  # noqa: T201 - the driver reads it
    if stay:
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
