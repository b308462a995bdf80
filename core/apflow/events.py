"""Events, told after they were stored: to those who watch a tree, and to the plugins that observe.

A watcher that falls behind loses nothing: what does not fit into its buffer it reads from the storage.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from apflow.host import Host
from apflow_hookspecs import Change, Event, Storage, Task
from apflow_hookspecs.storage import EventRow

log = logging.getLogger("apflow.events")

BUFFER = 256
PAGE = 1000


class Watcher:
    """One who follows a tree; `stored` wakes it."""

    def __init__(self) -> None:
        self.buffer: deque[Event] = deque()
        self.news = asyncio.Event()
        self.failure: Exception | None = None


class Events:
    """Who watches which tree, and the plugins that observe all of them.

    Args:
        storage: From which a watcher reads what it has missed.
        host: The plugins; theirs are called one event after the other, in a task of its own.
        shown: Number of the latest event that a live tree shows; None where the tree does not run. What is stored beyond it
            is told in a moment, when the tree shows it too.
    """

    def __init__(self, storage: Storage, host: Host, shown: Callable[[str], int | None]) -> None:
        self._storage = storage
        self._shown = shown
        self._host = host
        self._watchers: dict[str, set[Watcher]] = {}
        self._observed: asyncio.Queue[Event] = asyncio.Queue()
        self._observer = asyncio.get_running_loop().create_task(self._observe(), name="apflow-observer")
        self._closed = False
        self._failure: Exception | None = None

    def stored(self, tree_id: str, change: Change, tasks: Sequence[Task]) -> None:
        """A change of a tree was stored; `tasks` are the tree's, by number, where the change tells of any."""
        watchers, observed = self._watchers.get(tree_id, ()), self._host.observes
        if not watchers and not observed:
            return
        events = [as_event(tree_id, change.run, row, None if row[2] is None else tasks[row[2]].id) for row in change.events]
        for watcher in watchers:
            watcher.buffer.extend(events[: max(0, BUFFER - len(watcher.buffer))])
            watcher.news.set()
        if observed:
            for event in events:
                self._observed.put_nowait(event)

    async def close(self) -> None:
        """Nothing more will be stored: observers see the last of it, and every watcher ends."""
        self.end_watching()
        await self._observed.join()
        self._observer.cancel()

    def end_watching(self, failure: Exception | None = None) -> None:
        """Every watcher ends; with an error, where nothing can be stored any more."""
        self._closed, self._failure = True, self._failure or failure
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.news.set()

    def lost(self, tree_id: str, failure: Exception) -> None:
        """Nothing of a tree is stored here any more: those who watch it are told why."""
        for watcher in self._watchers.get(tree_id, ()):
            watcher.failure = failure
            watcher.news.set()

    async def _observe(self) -> None:
        while True:
            event = await self._observed.get()
            try:
                await self._host.event(event)
            except Exception:
                log.exception("an event could not be told to the plugins that observe")
            finally:
                self._observed.task_done()

    async def watch(self, tree_id: str, run: int, after: int = 0) -> AsyncGenerator[Event, None]:
        """The events of a tree from number `after` + 1 on, to the end of run `run` or of a later one.

        Raises:
            StorageUnavailable: Nothing of it can be stored any more.
        """
        watcher = Watcher()
        self._watchers.setdefault(tree_id, set()).add(watcher)
        try:
            while True:
                watcher.news.clear()
                async for event in self._unseen(watcher, tree_id, after):
                    after = event.seq
                    yield event
                    if event.type == "tree_settled" and event.run >= run:
                        return
                failure = watcher.failure or self._failure
                if failure is not None:
                    raise failure
                if self._closed:
                    return
                await watcher.news.wait()
        finally:
            self._watchers[tree_id].discard(watcher)
            if not self._watchers[tree_id]:
                del self._watchers[tree_id]

    async def _unseen(self, watcher: Watcher, tree_id: str, after: int) -> AsyncGenerator[Event, None]:
        while True:
            while watcher.buffer:
                event = watcher.buffer.popleft()
                if event.seq == after + 1:
                    after = event.seq
                    yield event
                elif event.seq > after:
                    watcher.buffer.clear()
            if self._closed:
                return
            shown = self._shown(tree_id)
            page = await self._storage.events(tree_id, after, PAGE)
            if shown is not None:
                page = [event for event in page if event.seq <= shown]
            for event in page:
                after = event.seq
                yield event
            if not page:
                return


def as_event(tree_id: str, run: int, row: EventRow, task_id: str | None) -> Event:
    """An event from its row."""
    seq, type_, _, status, at, attempt, actor, data = row
    return Event(seq, tree_id, run, task_id, type_, status, at, attempt, actor, data)  # type: ignore[arg-type]  # the engine writes no other types
