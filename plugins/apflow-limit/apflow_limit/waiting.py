"""Those who wait for their turn, in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf

LENIENCE = 5.0
"""Seconds for which a place is kept for one who is late: the engine may have no slot free for it."""

_Place = tuple[int, int]


class Waiting:
    """A queue of tickets: who came first is first, also after it was away.

    A waiting task that is cancelled does not say so. It is forgotten when it has not come at the time at which it was expected.

    Args:
        clock: Tells the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._places: list[_Place] = []
        self._tickets: dict[str, _Place] = {}
        self._expected: dict[str, float] = {}
        self._dues: list[tuple[float, str]] = []
        self._numbers = count()

    def __len__(self) -> int:
        self._forget()
        return len(self._tickets)

    def ahead(self, ticket: str, since: int) -> int:
        """How many go before a ticket: in the queue, or if it joined now.

        Args:
            ticket: Whose.
            since: The instant at which it came first.
        """
        self._forget()
        return bisect_left(self._places, self._tickets.get(ticket) or (since, inf))

    def join(self, ticket: str, since: int, seconds: float = inf) -> None:
        """Take a place, or keep the one that it has; expected again in some seconds."""
        if ticket not in self._tickets:
            self._tickets[ticket] = place = since, next(self._numbers)
            insort(self._places, place)
        self._expected[ticket] = due = self._clock() + seconds
        if due < inf:
            heappush(self._dues, (due, ticket))

    def leave(self, ticket: str) -> None:
        """Give its place up, where it has one."""
        place = self._tickets.pop(ticket, None)
        if place is not None:
            del self._places[bisect_left(self._places, place)]
            del self._expected[ticket]

    def _forget(self) -> None:
        late = self._clock() - LENIENCE
        while self._dues and self._dues[0][0] < late:
            due, ticket = heappop(self._dues)
            if self._expected.get(ticket) == due:
                self.leave(ticket)
