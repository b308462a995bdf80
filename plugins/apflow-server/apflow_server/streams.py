"""The events of a tree as a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`GET /tasks/{task_id}/events`, for any task of the tree. Each event has its number as `id`, its type as `event` and itself, in
JSON, as `data`. A client goes on where it was by the header `Last-Event-ID`, or `?after=N`: what it has missed is read from the
storage. The stream ends after the `tree_settled` of the latest run; a client that comes again with that event's number
is answered 204, upon which a browser's `EventSource` stops. A tree that waits, or that nobody has run, keeps its stream open.

Two messages are no events of the tree, and have no `id`: `lagged` tells a reader that fell behind, and `failed`, with an error,
that the events cannot be read; both end the stream, and the client may come again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import msgspec
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from apflow_hookspecs import Caller, Engine, Event, Json, Problem
from apflow_hookspecs.errors import InvalidParams, PermissionDenied, RateLimited
from apflow_server import audit
from apflow_server.answers import SAFE
from apflow_server.backlog import Backlog
from apflow_server.errors import harmless

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from apflow_server.state import Serving

log = logging.getLogger("apflow.server")

PATH = "/tasks/{task_id}/events"

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment shows that the stream lives."""

PATIENCE = 1.0
"""Seconds in which a reader makes room for live events, or has fallen behind."""

_HEADERS = {
    **SAFE,
    "Content-Type": "text/event-stream",
    "X-Accel-Buffering": "no",  # nginx would keep the events to itself
}
_NUMBER = re.compile(r"[0-9]{1,18}")  # what a storage takes for an integer

_encode = msgspec.json.Encoder().encode


def stream_routes() -> list[BaseRoute]:
    """The route of the streams."""
    return [Route(PATH, Streams().opened, methods=["GET"])]


class Streams:
    """The streams of one server, counted by their readers."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    async def opened(self, request: Request) -> Response | EventStream:
        """The stream that a request asks for.

        Raises:
            InvalidParams: The number to go on from is none.
            NotFound: There is no such task, or it is another user's.
            RateLimited: Its user reads as many streams as one may.
        """
        engine: Engine = request.app.state.engine
        asked = {"task_id": request.path_params["task_id"]}
        try:
            return await self._opened(request, asked)
        except (PermissionDenied, RateLimited) as error:
            audit.denied(request, error, "tasks.events", audit.ids_of(engine.operations["tasks.get"], asked))
            raise

    async def _opened(self, request: Request, asked: dict[str, Json]) -> Response | EventStream:
        serving: Serving = request.app.state.server
        caller: Caller = request.state.caller
        after = resumed(request)
        await serving.admit(request, caller, "tasks.events")
        task = cast("dict[str, str]", await serving.engine.call("tasks.get", asked, caller))
        tree = await serving.engine.tree(task["tree_id"])
        if tree.run and not tree.open and after >= tree.last_event:
            return Response(status_code=204, headers=SAFE)
        reader, most = _reader(request, caller), serving.options.streams_per_user
        if self._open[reader] >= most:
            raise RateLimited(f"{most} event streams are open already (server.streams_per_user)", retry_after=KEEP_ALIVE)
        return EventStream(serving, tree.id, after, tree.last_event, lambda change: self._count(reader, change))

    def _count(self, reader: str, change: int) -> None:
        self._open[reader] += change
        if not self._open[reader]:
            del self._open[reader]


@define(eq=False)
class EventStream:
    """The answer to one reader.

    Args:
        serving: The server.
        tree_id: Whose events they are.
        after: Number of the last one that the reader has seen.
        stored: Number of the last one that there was when it came; the others are live.
        count: Told of the begin, +1, and of the end, -1.
    """

    serving: Serving
    tree_id: str
    after: int
    stored: int
    count: Callable[[int], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, until the run, the reader or the server ends."""
        headers = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        self.count(+1)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body"})
            else:
                await self._stream(receive, send)
        finally:
            self.count(-1)

    async def _stream(self, receive: Receive, send: Send) -> None:
        backlog = Backlog(self.serving.options.stream_buffer, PATIENCE)
        async with asyncio.TaskGroup() as group:
            beside = (self._read(backlog), self._end(backlog), _gone(receive, backlog))
            tasks = [group.create_task(work) for work in beside]
            try:
                await self._send(backlog, send)
            except TimeoutError:
                log.warning("a reader of tree %s took nothing, and is dropped", self.tree_id, extra={"tree_id": self.tree_id})
            finally:
                for task in tasks:
                    task.cancel()

    async def _read(self, backlog: Backlog) -> None:
        """Fill the backlog, to the end of the run."""
        try:
            async with aclosing(self.serving.engine.watch(self.tree_id, self.after)) as events:
                async for event in events:
                    if not await backlog.put(event, live=event.seq > self.stored):
                        break
                else:
                    return backlog.close()
        except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the stream has begun
            return backlog.close(message("failed", harmless(error, "an event stream").as_json()))
        return backlog.close(message("lagged", {"tree_id": self.tree_id}))

    async def _end(self, backlog: Backlog) -> None:
        await self.serving.ending.wait()
        backlog.close(b": the server stops\n\n")

    async def _send(self, backlog: Backlog, send: Send) -> None:
        while not backlog.closed:
            events = await backlog.take(within=KEEP_ALIVE)
            if events or not backlog.closed:
                await self._told(send, b"".join(map(as_message, events)) or b": still here\n\n")
        rest = b"".join(map(as_message, await backlog.take(within=0)))
        await self._told(send, rest + backlog.last_words, more=False)

    async def _told(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self.serving.options.stream_stall):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})


def as_message(event: Event) -> bytes:
    """An event as it is sent."""
    return b"id: %d\n" % event.seq + message(event.type, event.as_json())


def message(type_: str, data: Json) -> bytes:
    """A message without an id."""
    return b"event: %s\ndata: %s\n\n" % (type_.encode(), _encode(data))


def resumed(request: Request) -> int:
    """Number of the last event that a client has seen: its `Last-Event-ID`, else the parameter `after`, else 0.

    Raises:
        InvalidParams: It is no such number, or there are other parameters.
    """
    unknown = [name for name in request.query_params if name != "after"]
    if unknown:
        raise InvalidParams(
            problems=tuple(_problem(name, request.query_params[name], "unknown; known: after") for name in unknown)
        )
    given = {"Last-Event-ID": request.headers.get("Last-Event-ID"), "after": request.query_params.get("after")}
    name, value = next(((name, value) for name, value in given.items() if value is not None), ("after", "0"))
    if not _NUMBER.fullmatch(value):
        raise InvalidParams(problems=(_problem(name, value, "must be the number of an event: 1 to 18 digits"),))
    return int(value)


def _problem(name: str, value: str, rule: str) -> Problem:
    return Problem(rule, field=name, value=value, code=InvalidParams.code)


def _reader(request: Request, caller: Caller) -> str:
    """Whose streams are counted together: a user's, else those from one address."""
    if caller.user_id is not None:
        return f"user {caller.user_id}"
    return f"address {request.client.host if request.client else None}"


async def _gone(receive: Receive, backlog: Backlog) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    backlog.close()
