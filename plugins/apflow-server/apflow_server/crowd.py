"""How many requests are worked on at once."""

from __future__ import annotations

from collections import Counter

from attrs import define
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apflow_hookspecs.errors import Overloaded
from apflow_server.errors import HeaderTooLarge, refusal
from apflow_server.options import Options

_BETWEEN = len(": \r\n")
_STREAM = b"text/event-stream"


class Crowd:
    """Refuses what comes when enough is being worked on.

    An event stream counts until it has begun, and a request with a body from when that is there: those whose bodies are still
    arriving are counted apart, and are few for each address, so that slow ones keep nobody else out.
    """

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._options = options
        self._inside = 0
        self._arriving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _head(scope) > self._options.max_header:
            await refusal(HeaderTooLarge(f"over {self._options.max_header} bytes (server.max_header)"))(scope, receive, send)
        elif not _has_body(scope):
            await self._guarded(_Place(self), scope, receive, send)
        else:
            address = str((scope.get("client") or ("",))[0])
            await self._guarded(_Place(self, address), scope, receive, send)

    async def _guarded(self, place: _Place, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            if not message.get("more_body"):
                place.begin()
            return message

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                place.leave()
            await send(message)

        try:
            place.take()
        except Overloaded as error:
            await refusal(error)(scope, receive, send)
            return
        try:
            await self._app(scope, received if place.address is not None else receive, noted)
        finally:
            place.leave()

    def enter(self) -> None:
        """One more is worked on.

        Raises:
            Overloaded: There are enough.
        """
        if self._inside >= self._options.max_requests:
            raise Overloaded(f"{self._inside} requests are being worked on (server.max_requests); try again later")
        self._inside += 1

    def leave(self) -> None:
        """One less is worked on."""
        self._inside -= 1

    def await_body(self, address: str) -> None:
        """One more body arrives; errors as of `enter`."""
        most = self._options.max_requests
        if self._arriving[address] >= max(most // 4, 1) or self._arriving.total() >= most:
            raise Overloaded("too many bodies are arriving (server.max_requests); try again later")
        self._arriving[address] += 1

    def has_body(self, address: str) -> None:
        """One body is there, or will not come."""
        self._arriving[address] -= 1
        if not self._arriving[address]:
            del self._arriving[address]


@define
class _Place:
    """What one request takes up; `address` is that from which its body is to come, None where it has none."""

    crowd: Crowd
    address: str | None = None
    _arriving: bool = False
    _inside: bool = False

    def take(self) -> None:
        if self.address is None:
            self._enter()
        else:
            self.crowd.await_body(self.address)
            self._arriving = True

    def begin(self) -> None:
        if self._arriving and self.address is not None:
            self._arriving = False
            self.crowd.has_body(self.address)
            self._enter()

    def leave(self) -> None:
        if self._arriving and self.address is not None:
            self._arriving = False
            self.crowd.has_body(self.address)
        if self._inside:
            self._inside = False
            self.crowd.leave()

    def _enter(self) -> None:
        self.crowd.enter()
        self._inside = True


def _has_body(scope: Scope) -> bool:
    names = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
    return b"transfer-encoding" in names or names.get(b"content-length", b"0") != b"0"


def _is_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM) for name, value in start.get("headers", ()))


def _head(scope: Scope) -> int:
    line = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return line + sum(len(name) + len(value) + _BETWEEN for name, value in scope["headers"])
