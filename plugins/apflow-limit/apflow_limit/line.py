"""A line: those who run under one limit, and those who wait to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from apflow_limit.waiting import Waiting

if TYPE_CHECKING:
    from apflow_limit.tokens import Tokens

PATIENCE = 1.0
"""Seconds for which an attempt stays in its slot, where what runs takes no longer than that."""
STANDING = 4
"""So many may do that at once, or as many as there are places, if these are more."""
SOONEST, LATEST = 0.1, 60.0
"""Seconds between one look for a free place and the next, of the one whose turn it is."""
AT_LEAST, FARTHEST = 0.001, 600.0
"""Seconds for which one who waits stays away: it comes also to tell that it is still there."""
SHARE = 0.1
"""Part of the usual duration that a place may stand empty until the next comes to look."""


class Line:
    """Lets attempts in, one after the other.

    Args:
        concurrency: How many run at once; None is any number.
        tokens: What each needs to begin; None is nothing.
        clock: Tells the time, in seconds.
    """

    def __init__(self, concurrency: int | None, tokens: Tokens | None, clock: Callable[[], float]) -> None:
        self._concurrency = concurrency
        self._tokens = tokens
        self._clock = clock
        self._waiting = Waiting(clock)
        self._began: list[float] = []
        self._usual = 0.0
        """Seconds that they took lately."""
        self._moved = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nobody is in it."""
        return not self._began and not self._waiting

    def enter(self, ticket: str, since: int) -> float | None:
        """Begin, where it may; then the time at which it began, which it has to tell when it leaves."""
        ahead = self._waiting.ahead(ticket, since)
        if self._is_full(ahead) or (self._tokens is not None and not self._tokens.take(ahead)):
            return None
        self._waiting.leave(ticket)
        self._began.append(self._clock())
        return self._began[-1]

    def leave(self, began: float) -> None:
        """End."""
        took = self._clock() - began
        self._usual = took if self._usual == 0 else self._usual + (took - self._usual) / 8
        self._began.remove(began)
        self._moved.set()
        self._moved = asyncio.Event()

    async def enter_soon(self, ticket: str, since: int) -> float | None:
        """Begin as `enter` does, now or in a moment: those who are next wait right here where a place will soon be free.

        Who gets None is to `wait`; a place among those who wait is kept.
        """
        began = self.enter(ticket, since)
        if began is not None or not self._is_next(self._waiting.ahead(ticket, since)):
            return began
        self._waiting.join(ticket, since)
        try:
            async with asyncio.timeout(PATIENCE):
                while began is None:
                    await self._moved.wait()
                    began = self.enter(ticket, since)
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            self._waiting.leave(ticket)
            raise
        return began

    def delay(self, ticket: str, since: int) -> float:
        """Seconds after which it may be the turn of one who cannot begin now."""
        ahead, delay = self._waiting.ahead(ticket, since), 0.0
        if self._concurrency is not None and self._is_full(ahead):
            turns = ahead / self._concurrency
            delay = max(turns * self._duration(), min(SHARE * self._duration(), LATEST), SOONEST)
        if self._tokens is not None:
            delay = max(delay, self._tokens.delay(ahead))
        return min(delay, FARTHEST)

    def wait(self, ticket: str, since: int) -> float:
        """Take a place among those who wait; the seconds after which it is expected."""
        # In its last microsecond a token is counted as free, and cannot be taken yet.
        delay = max(self.delay(ticket, since), AT_LEAST)
        self._waiting.join(ticket, since, delay)
        return delay

    def _is_full(self, ahead: int) -> bool:
        return self._concurrency is not None and len(self._began) + ahead >= self._concurrency

    def _is_next(self, ahead: int) -> bool:
        """Whether nothing but a place is missing, and one will soon be free."""
        if self._concurrency is None or ahead >= max(self._concurrency, STANDING) or self._duration() > PATIENCE:
            return False
        return self._tokens is None or self._tokens.delay(ahead) == 0

    def _duration(self) -> float:
        """Seconds that an attempt takes, as far as is known."""
        return max(self._usual, self._clock() - self._began[0] if self._began else 0.0)
