"""The outermost layer: what goes wrong becomes an answer, and every answer carries the headers of a careful server."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apflow_server.answers import careful
from apflow_server.errors import harmless, refusal

log = logging.getLogger("apflow.server")


class Faults:
    """Whatever goes wrong becomes an answer; a traceback stays in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = careful(message.get("headers", ()))
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            log.debug("a client went away from %s", scope.get("path"))
        except asyncio.CancelledError:
            if _was_cancelled():
                raise
            await _told(RuntimeError("it was cancelled from inside"), scope, receive, noted, begun=begun)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - routes and middleware of plugins
            await _told(error, scope, receive, noted, begun=begun)


def _was_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _told(error: BaseException, scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    shown = harmless(error, scope.get("path", ""))
    if begun or scope["type"] != "http":
        return  # uvicorn closes what was left in the middle
    await refusal(shown)(scope, receive, send)
