"""How many requests are worked on at once."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apflow_hookspecs.errors import Overloaded
from apflow_server.errors import HeaderTooLarge, refusal
from apflow_server.options import Options

_BETWEEN = len(": \r\n")
_STREAM = b"text/event-stream"


class Crowd:
    """Refuses what comes when enough is being worked on; an event stream counts until it has begun."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._options = options
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _head(scope) > self._options.max_header:
            await refusal(HeaderTooLarge(f"over {self._options.max_header} bytes (server.max_header)"))(scope, receive, send)
        elif self._inside >= self._options.max_requests:
            most = f"{self._options.max_requests} requests are being worked on (server.max_requests); try again later"
            await refusal(Overloaded(most))(scope, receive, send)
        else:
            await self._within(scope, receive, send)

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._inside -= 1

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                leave()
            await send(message)

        self._inside += 1
        try:
            await self._app(scope, receive, noted)
        finally:
            leave()


def _is_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM) for name, value in start.get("headers", ()))


def _head(scope: Scope) -> int:
    line = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return line + sum(len(name) + len(value) + _BETWEEN for name, value in scope["headers"])
