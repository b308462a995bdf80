"""Deadlines: many attempts have one, and nearly all end before it.

Attempts with the same time to run are due in the order in which they began. So they stand in one queue, with one timer for the
first of them, and an attempt that ends in time costs no more than leaving the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """What is due when.

    Args:
        over: Called with each thing whose time is over.
    """

    def __init__(self, over: Callable[[T], None]) -> None:
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._queues: dict[float, dict[T, float]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def add(self, thing: T, seconds: float) -> None:
        """Call `over` after so many seconds, unless it is removed."""
        due = self._loop.time() + seconds
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = {}
            self._timers[seconds] = self._loop.call_at(due, self._ring, seconds)
        queue[thing] = due

    def remove(self, thing: T, seconds: float) -> None:
        """It needs no deadline any more; `seconds` as it was added with."""
        queue = self._queues.get(seconds)
        if queue is not None:
            queue.pop(thing, None)

    def close(self) -> None:
        """Forget all."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queues.clear()

    def _ring(self, seconds: float) -> None:
        queue, now = self._queues[seconds], self._loop.time()
        while queue:
            thing, due = next(iter(queue.items()))
            if due > now:
                self._timers[seconds] = self._loop.call_at(due, self._ring, seconds)
                return
            del queue[thing]
            self._over(thing)
        self._queues.pop(seconds, None)
        self._timers.pop(seconds, None)
