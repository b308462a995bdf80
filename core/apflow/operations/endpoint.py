"""The operations on a Unix socket, for the other commands of this machine: JSON-RPC 2.0, one message a line.

The process that owns a storage serves it, and any other `apflow` command on that storage works through it. Besides the
catalogue there is `watch` (`task_id`, `after`), which sends each event as a message of its own, with the request's id,
before it answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apflow.operations.views import encode, event_view, problem_view
from apflow_hookspecs import ApflowError, Caller, Json
from apflow_hookspecs.errors import InvalidParams

if TYPE_CHECKING:
    from apflow.engine import Engine

log = logging.getLogger("apflow.endpoint")

MAX_LINE = 256 * 1024 * 1024
"""Bytes of one message; a tree of a million tasks has fewer."""

Send = Callable[[Json], Awaitable[None]]


@asynccontextmanager
async def serving(engine: Engine, path: str) -> AsyncIterator[Endpoint]:
    """Serve an engine's operations on a socket for the length of the block."""
    endpoint = Endpoint(engine)
    _remove(path)  # left by an owner that was killed; we own the storage now
    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(endpoint.connected, path, limit=MAX_LINE)
    finally:
        os.umask(mask)
    try:
        yield endpoint
    finally:
        server.close()
        await endpoint.close()
        _remove(path)


class Endpoint:
    """The connections to one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections: set[asyncio.Task[Any]] = set()
        self.idle = asyncio.Event()
        """Set while nobody is connected."""
        self.idle.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves; its requests run side by side."""
        task = asyncio.current_task()
        if task is None or not _is_ours(writer):
            writer.close()
            return
        self._connections.add(task)
        self.idle.clear()
        lock = asyncio.Lock()

        async def send(message: Json) -> None:
            async with lock:
                writer.write(encode(message) + b"\n")
                await writer.drain()

        requests: set[asyncio.Task[None]] = set()
        try:
            while line := await reader.readline():
                request = asyncio.create_task(self._answer(line, send))
                requests.add(request)
                request.add_done_callback(requests.discard)
        except (ConnectionError, ValueError) as error:
            log.debug("a client was cut off: %s", error)
        finally:
            for request in requests:
                request.cancel()
            self._connections.discard(task)
            if not self._connections:
                self.idle.set()
            writer.close()

    async def close(self) -> None:
        """Let every client go."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _answer(self, line: bytes, send: Send) -> None:
        request_id: Json = None
        try:
            request = json.loads(line)
            request_id = request.get("id")
            result = await self._result(request, send)
            answer: Json = {"jsonrpc": "2.0", "id": request_id, "result": result}
        except ApflowError as error:
            answer = {"jsonrpc": "2.0", "id": request_id, "error": error_view(error)}
        except (ValueError, KeyError, AttributeError, TypeError):
            log.exception("a request could not be read")
            answer = {"jsonrpc": "2.0", "id": request_id, "error": error_view(InvalidParams("the request cannot be read"))}
        except Exception:
            log.exception("a request failed")
            answer = {"jsonrpc": "2.0", "id": request_id, "error": error_view(ApflowError())}
        with suppress(ConnectionError):
            await send(answer)

    async def _result(self, request: Mapping[str, Json], send: Send) -> Json:
        method, params = request["method"], request.get("params") or {}
        if method != "watch":
            return await self._engine.call(method, params, Caller.local())
        async for event in self._engine.watch(params["task_id"], params.get("after", 0)):
            await send({"jsonrpc": "2.0", "method": "event", "id": request["id"], "params": event_view(event)})
        return None


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        Path(path).unlink()


def error_view(error: ApflowError) -> dict[str, Json]:
    """An error as JSON-RPC has it."""
    data: dict[str, Json] = {"type": type(error).__name__}
    if error.problems:
        data["problems"] = [problem_view(problem) for problem in error.problems]
    return {"code": error.code, "message": error.message, "data": data}


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether the client belongs to the same user, or to root; the socket's mode says so too."""
    connection = writer.get_extra_info("socket")
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return uid in (0, os.getuid())
