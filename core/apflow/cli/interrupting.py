"""The signals that ask the program to end: the first is answered in order, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

from apflow.cli.failures import ExitCode, Interrupted

R = TypeVar("R")

LAST_MOMENT = 0.5
"""Seconds that whatever still runs has to end, once the work is over."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """SIGINT and SIGTERM, while work goes on. Unless it is `noted`, the first one cancels the work."""

    def __init__(self, work: asyncio.Task[Any]) -> None:
        self.requested = False
        self._loop = work.get_loop()
        self._answer: Callable[[], object] = work.cancel

    def install(self) -> None:
        """Answer the signals from now on.

        Not by the event loop: where something blocks that, the second signal has to end the process all the same.
        """
        for number in _SIGNALS:
            with suppress(ValueError):  # only the main thread may
                signal.signal(number, self._came)

    @contextmanager
    def noted(self) -> Iterator[asyncio.Event]:
        """While it lasts, the first signal sets this event and does nothing else."""
        asked, answer = asyncio.Event(), self._answer
        self._answer = asked.set
        try:
            yield asked
        finally:
            self._answer = answer

    def _came(self, *_: object) -> None:
        if self.requested:
            _show_cursor()
            os._exit(ExitCode.INTERRUPTED)
        self.requested = True
        with suppress(RuntimeError):  # the work has ended, and its loop is closed
            self._loop.call_soon_threadsafe(lambda: self._answer())  # noqa: PLW0108 - that of the time when it is called


def _show_cursor() -> None:
    """A live tree hides it, and does not come to show it again."""
    if sys.stdout is not None and sys.stdout.isatty():
        with suppress(OSError):
            os.write(sys.stdout.fileno(), b"\x1b[?25h")


def run_interruptibly(
    work: Callable[[Interruption], Coroutine[Any, Any, R]],
    left: Callable[[], None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> R:
    """Run to the end; the work is handed the signals that may come.

    Args:
        work: Called once.
        left: Called at the end where something goes on that cannot be ended, an executor for which no cancellation counts: such
            a process has to leave by `os._exit`.
        loop_factory: Makes the event loop; by default asyncio does.

    Raises:
        Interrupted: A signal came, and the work has ended.
    """
    runner, threads = asyncio.Runner(loop_factory=loop_factory), _Threads()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        return runner.run(_guarded(work, threads))
    finally:
        if runner.run(_over()) and not threads.busy:
            runner.close()
        else:
            left()
        for number, handler in before.items():
            with suppress(ValueError):
                signal.signal(number, handler)


async def _guarded(work: Callable[[Interruption], Coroutine[Any, Any, R]], threads: _Threads) -> R:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    interruption = Interruption(cast("asyncio.Task[R]", asyncio.current_task()))
    interruption.install()
    try:
        return await work(interruption)
    except asyncio.CancelledError:
        if interruption.requested:
            raise Interrupted from None
        raise


async def _over() -> bool:
    """Whether nothing else runs any more, having been told to end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, others = await asyncio.wait(others, timeout=LAST_MOMENT)
    return not others


class _Threads(ThreadPoolExecutor):
    """The event loop's threads; tells which of them would keep the process."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="apflow")
        self.busy: set[Future[Any]] = set()

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        future = super().submit(fn, *args, **kwargs)
        self.busy.add(future)
        future.add_done_callback(self.busy.discard)
        return future
