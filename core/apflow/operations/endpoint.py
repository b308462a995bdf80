"""The operations on a Unix socket, for the other commands of this machine: JSON-RPC 2.0, one message a line.

The process that owns a storage serves it, and any other `apflow` command on that storage works through it. It greets who
connects with the notification `hello` (`pid`). Besides the catalogue there is `watch` (`task_id`, `after`), which sends each
event as a message of its own, with the request's id, before it answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apflow.operations.views import encode, event_view
from apflow_hookspecs import ApflowError, Caller, Json
from apflow_hookspecs.errors import InvalidParams, Overloaded, TooLarge, Unexpected

if TYPE_CHECKING:
    from apflow.engine import Engine

log = logging.getLogger("apflow.endpoint")

MAX_LINE = 256 * 1024 * 1024
"""Bytes of one message; a tree of a million tasks has fewer."""
LAST_ANSWERS = 0.5
"""Seconds that requests have to be answered when the engine is closed."""


@asynccontextmanager
async def serving(engine: Engine, path: str, max_line: int = MAX_LINE) -> AsyncIterator[Endpoint]:
    """Serve an engine's operations on a socket, which only this user may open, for the length of the block."""
    endpoint = Endpoint(engine)
    _remove(path)  # left by an owner that was killed; we own the storage now
    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(endpoint.connected, path, limit=max_line)
    finally:
        os.umask(mask)
    try:
        yield endpoint
    finally:
        server.close()
        await endpoint.close()
        _remove(path)


class Endpoint:
    """The clients of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._clients: dict[asyncio.Task[Any], Client] = {}
        self._closing = False
        self.idle = asyncio.Event()
        """Set while nobody is connected."""
        self.idle.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        task = asyncio.current_task()
        if task is None or self._closing or not _is_ours(writer):
            writer.close()
            return
        client = self._clients[task] = Client(self._engine, writer)
        self.idle.clear()
        try:
            await client.serve(reader)
        except asyncio.CancelledError:
            pass  # this task ends here, and asyncio (before 3.12) complains of handlers that end as cancelled
        finally:
            del self._clients[task]
            if not self._clients:
                self.idle.set()
            writer.close()

    async def close(self) -> None:
        """Answer what was asked, and let every client go."""
        self._closing = True
        calls = [call for client in self._clients.values() for call in client.leave()]
        if calls:
            await asyncio.wait(calls, timeout=LAST_ANSWERS)
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


class Client:
    """One connection; its requests run side by side."""

    def __init__(self, engine: Engine, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._writer = writer
        self._sending = asyncio.Lock()
        self._requests: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._leaving = False

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer what it asks, until it leaves."""
        try:
            await self._send({"jsonrpc": "2.0", "method": "hello", "params": {"pid": os.getpid()}})
            while line := await _line(reader):
                request = asyncio.create_task(self._answer(line))
                self._requests.add(request)
                request.add_done_callback(self._requests.discard)
        except TooLarge as error:
            await self._send(_refusal(None, error))
        except ConnectionError as error:
            log.debug("a client was cut off: %s", error)
        finally:
            for request in self._requests:
                request.cancel()

    def leave(self) -> list[asyncio.Task[None]]:
        """Take no more requests; those that are about to be answered."""
        self._leaving = True
        return list(self._requests - self._watches)

    async def _send(self, message: Json) -> None:
        with suppress(ConnectionError):
            async with self._sending:
                self._writer.write(encode(message) + b"\n")
                await self._writer.drain()

    async def _answer(self, line: bytes) -> None:
        request_id: Json = None
        try:
            request_id, method, params = _request(line)
            if self._leaving:
                raise Overloaded("the engine is about to stop")  # noqa: TRY301 - told as any other refusal
            result = await (self._watch(request_id, params) if method == "watch" else self._call(method, params))
        except ApflowError as error:
            await self._send(_refusal(request_id, error))
        except Exception:
            log.exception("a request failed")
            await self._send(_refusal(request_id, Unexpected()))
        else:
            await self._send({"jsonrpc": "2.0", "id": request_id, "result": result})

    async def _call(self, method: str, params: Json) -> Json:
        return await self._engine.call(method, params, Caller.local())

    async def _watch(self, request_id: Json, params: Json) -> None:
        task_id, after = _watched(params)
        if (task := asyncio.current_task()) is not None:
            self._watches.add(task)
            task.add_done_callback(self._watches.discard)
        async with aclosing(self._engine.watch(task_id, after)) as events:
            async for event in events:
                await self._send({"jsonrpc": "2.0", "method": "event", "id": request_id, "params": event_view(event)})


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as error:
        raise TooLarge(f"the request is longer than a line may be: {error}") from None


def _request(line: bytes) -> tuple[Json, str, Json]:
    """Id, method and parameters of a request."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidParams("the request is not JSON") from None
    if not isinstance(request, Mapping) or not isinstance(request.get("method"), str):
        raise InvalidParams("the request has to be an object with a method")
    params = request.get("params") or {}
    if not isinstance(params, Mapping | list):
        raise InvalidParams("params have to be an object or an array")
    return request.get("id"), request["method"], params


def _watched(params: Json) -> tuple[str, int]:
    task_id, after = (params.get("task_id"), params.get("after", 0)) if isinstance(params, Mapping) else (None, 0)
    if not isinstance(task_id, str) or type(after) is not int:
        raise InvalidParams("watch takes task_id, a string, and after, an integer")
    return task_id, after


def _refusal(request_id: Json, error: ApflowError) -> Json:
    return {"jsonrpc": "2.0", "id": request_id, "error": error.as_json()}


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        Path(path).unlink()


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether the client belongs to the same user, or to root; the socket's mode says so too."""
    connection = writer.get_extra_info("socket")
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return uid in (0, os.getuid())
