"""Equal work that is under way in this process: it is done once, and its result is shared."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from attrs import define, field

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds after which whoever waits looks whether the first one is still wanted: it may ignore that it was cancelled."""


@define(eq=False)
class Flight(Generic[T]):
    """One piece of work.

    Attributes:
        shared: What it came to, for the others; None when they have to do it themselves.
    """

    _pilot: asyncio.Task[Any] | None = field(factory=asyncio.current_task)
    _landed: asyncio.Event = field(factory=asyncio.Event)
    shared: T | None = None

    @property
    def wanted(self) -> bool:
        """Whether whoever does it has not been cancelled."""
        return self._pilot is None or not self._pilot.cancelling()

    async def wait(self) -> None:
        """Wait for its end, but not for long."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._landed.wait()
        except TimeoutError:
            return

    def land(self) -> None:
        """Let those who wait go on."""
        self._landed.set()


class Flights(Generic[T]):
    """All that are under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight[T]] = {}

    async def board(self, key: str) -> Flight[T]:
        """The flight of an earlier one, once it has something to share; else a new one, which the caller has to `land`."""
        while (flight := self._flights.get(key)) is not None and flight.wanted:
            await flight.wait()
            if flight.shared is not None:
                return flight
        flight = self._flights[key] = Flight()
        return flight

    def land(self, key: str, flight: Flight[T]) -> None:
        """End a flight, also one that has failed."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.land()
