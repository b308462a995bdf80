"""Events on their way to one reader of a stream, in bounded number."""

from __future__ import annotations

import asyncio
from collections import deque

from apflow_hookspecs import Event


class Backlog:
    """What one reader has not been sent yet.

    A reader may take its time with what was stored before it came: nothing is read ahead of it. One that makes no room for live
    events has fallen behind.

    Args:
        size: Events that it holds at most.
        patience: Seconds in which the reader has to make room for live events.

    Attributes:
        last_words: What the reader is sent at the end.
        closed: Whether nothing more comes in.
    """

    def __init__(self, size: int, patience: float) -> None:
        self.last_words = b""
        self.closed = False
        self._size = size
        self._patience = patience
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, event: Event, *, live: bool) -> bool:
        """Add an event, once there is room; False where it is closed, or where the reader has fallen behind."""
        try:
            async with asyncio.timeout(self._patience if live else None):
                while len(self._events) >= self._size and not self.closed:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            return False
        if not self.closed:
            self._events.append(event)
            self._news.set()
        return not self.closed

    async def take(self, within: float) -> list[Event]:
        """All that waits, as soon as anything does: nothing when it is closed, or when no event came within so many seconds."""
        if not self._events and not self.closed:
            self._news.clear()
            try:
                async with asyncio.timeout(within):
                    await self._news.wait()
            except TimeoutError:
                return []
        events = list(self._events)
        self._events.clear()
        self._room.set()
        return events

    def close(self, last_words: bytes = b"") -> None:
        """Let nothing more in; the reader is sent what waits, and then the last words of who closed it first."""
        if not self.closed:
            self.closed, self.last_words = True, last_words
        self._news.set()
        self._room.set()
