"""Whether there is still somebody to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from apflow_hookspecs.errors import Overloaded
from apflow_server.state import Serving

PATIENCE = 1.0
"""Seconds after which one looks; most answers are there before."""


@contextmanager
def attended(request: Request) -> Iterator[None]:
    """Work whose body was read already, and which is left when the client goes, or the server ends.

    Raises:
        ClientDisconnect: The client has gone.
        Overloaded: The server ends.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("a request is answered by a task")
    watch = _Watch(request, task)
    timer = loop.call_later(PATIENCE, watch.begin)
    try:
        yield
    except asyncio.CancelledError:
        if watch.reason is None:
            raise
        task.uncancel()
        raise watch.reason from None
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """Cancels a task when nobody waits for it any more."""

    def __init__(self, request: Request, task: asyncio.Task[object]) -> None:
        self.reason: Exception | None = None
        self._request = request
        self._task = task
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    def end(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        serving: Serving = self._request.app.state.server
        gone, ending = asyncio.create_task(self._gone()), asyncio.create_task(serving.ending.wait())
        try:
            over, _ = await asyncio.wait({gone, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            ending.cancel()
        self.reason = ClientDisconnect() if gone in over else Overloaded("the server is about to stop; try again later")
        self._task.cancel()

    async def _gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
