"""Running a coroutine that a signal ends in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

from attrs import define

from apflow.cli.failures import ExitCode, Interrupted

R = TypeVar("R")


def run_interruptibly(work: Coroutine[Any, Any, R]) -> R:
    """Run to the end; SIGINT and SIGTERM cancel the work, which then cleans up. The second one ends the process at once.

    Raises:
        Interrupted: A signal came, and the work has ended.
    """
    interruption = _Interruption()
    with asyncio.Runner() as runner:
        try:
            return runner.run(interruption.guard(work))
        except asyncio.CancelledError:
            if interruption.requested:
                raise Interrupted from None
            raise


@define
class _Interruption:
    requested: bool = False

    async def guard(self, work: Coroutine[Any, Any, R]) -> R:
        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[R]", asyncio.current_task())
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not in other threads than the main one, and not on Windows, where the runner's own handling of SIGINT remains.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._interrupt, task)
        return await work

    def _interrupt(self, task: asyncio.Task[Any]) -> None:
        if self.requested:
            os._exit(ExitCode.INTERRUPTED)
        self.requested = True
        task.cancel()
