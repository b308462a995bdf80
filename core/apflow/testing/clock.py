"""A clock for tests: time that passes at once when everybody waits for it.

    clock = VirtualClock()

    def test_a_report_is_sent_after_a_week():
        assert clock.run(scenario()) == ...

An event loop on it never sleeps: when nothing else is left to do, its time jumps to the next timer. So time-outs, graces,
back-offs and waits for an instant take no real time, and happen in the order in which they would.

Threads are not on this clock: time may jump while one works. A test on it keeps to the storage in memory and to asynchronous
executors.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")

NOON = 1_753_963_200_000_000
"""The instant at which a virtual clock starts."""


class VirtualClock:
    """A clock, and the event loop on it.

    Args:
        at: The instant at which it starts.
    """

    def __init__(self, at: int = NOON) -> None:
        self._at = at
        self._passed = 0.0

    def monotonic(self) -> float:
        """Seconds since it was started; never set back."""
        return self._passed

    def now(self) -> int:
        """The present instant."""
        return self._at + round(self._passed * 1_000_000)

    def pass_on(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds

    def set(self, seconds: float) -> None:
        """Set it forward, or back, as the clock of a machine may be: the time of day changes, and no time passes."""
        self._at += round(seconds * 1_000_000)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, as `asyncio.run` does, on this clock.

        Meanwhile `time.time` and `time.time_ns` tell this clock's time in the whole process: to the engine, to storages and to
        plugins.
        """
        with (
            patch.object(time, "time_ns", lambda: self.now() * 1000),
            patch.object(time, "time", lambda: self.now() / 1_000_000),
            asyncio.Runner(loop_factory=self.loop) as runner,
        ):
            return runner.run(main)

    def loop(self) -> asyncio.AbstractEventLoop:
        """A new event loop on it."""
        return _VirtualLoop(self)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        super().__init__(_JumpingSelector(clock.pass_on))
        # A timer is due once its time is nearer than this; a float of many days in seconds has nothing finer.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._virtual.monotonic()


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nobody: the time that it was to wait at most has then passed."""

    def __init__(self, pass_on: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_on = pass_on

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout and 0)
        if not ready and timeout:
            self._pass_on(timeout)
        return ready
