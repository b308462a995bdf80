"""Counts in the memory of one process, no more than it is told to hold."""

from __future__ import annotations

import time
from collections import OrderedDict
from math import floor

from attrs import define
from limits.aio.storage import MemoryStorage

SWEEP = 2
"""Counts that are looked at for their age with each one that is taken: more than can be added."""


@define
class Window:
    """What was counted in a span of time, from an instant that its length divides, and in the span before.

    Args:
        number: Which span it is, from 1970.
        seconds: Its length.
    """

    number: int
    seconds: int
    count: int = 0
    before: int = 0

    def at(self, now: float) -> Window:
        """As it stands at an instant."""
        passed = int(now / self.seconds) - self.number
        if passed == 0:
            return self
        return Window(self.number + passed, self.seconds, 0, self.count if passed == 1 else 0)

    def left(self, now: float) -> float:
        """Seconds until it ends."""
        return (self.number + 1) * self.seconds - now

    def weighed(self, now: float) -> float:
        """The count of the last `seconds`, as if the span before had been even."""
        return self.before * self.left(now) / self.seconds + self.count


class BoundedMemory(MemoryStorage):
    """The storage in memory of `limits`, with other sliding windows: bounded, and without its sweep over all keys at each hit.

    The one that was used longest ago makes room for others, so that nobody is rid of a count that he goes on with.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._windows: OrderedDict[str, Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, unless it would be too many."""
        now = time.time()
        window = self._window(key, expiry, now)
        admitted = floor(window.weighed(now)) + amount <= limit
        if admitted:
            window.count += amount
        self._windows[key] = window
        self._windows.move_to_end(key)
        self._forget(now)
        return admitted

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and seconds that it lasts, of the span before and of the present one."""
        now = time.time()
        window = self._window(key, expiry, now)
        left = window.left(now)
        return window.before, left if window.before else 0.0, window.count, left + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 - as the library calls it
        """Forget a count."""
        self._windows.pop(key, None)

    def _window(self, key: str, seconds: int, now: float) -> Window:
        return self._windows.get(key, Window(int(now / seconds), seconds)).at(now)

    def _forget(self, now: float) -> None:
        while len(self._windows) > self._most:
            self._windows.popitem(last=False)
        for _ in range(SWEEP):
            oldest, window = next(iter(self._windows.items()))
            if window.at(now).weighed(now):
                break
            del self._windows[oldest]
