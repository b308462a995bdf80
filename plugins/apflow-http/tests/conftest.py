"""A real server on loopback, and the executor with a guard that opens it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from attrs import define, field, frozen

from apflow_guard import Guard, GuardOptions
from apflow_hookspecs import Task, TaskContext
from apflow_http import Options, RestExecutor

Fetch = Callable[..., Awaitable[Any]]


@frozen
class Received:
    method: str
    target: str
    head: bytes
    headers: Message
    body: bytes


def answer(body: bytes | str = b"", status: int = 200, *headers: tuple[str, str], reason: str = "Whatever") -> bytes:
    """A whole response, as bytes."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(content)}", *(": ".join(pair) for pair in headers)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


def json_answer(body: bytes | str, content_type: str = "application/json") -> bytes:
    return answer(body, 200, ("Content-Type", content_type))


@define(eq=False)
class Server:
    """Answers each path with prepared bytes, and keeps what it received; after `unending` ones it says nothing more."""

    answers: dict[str, bytes] = field(factory=lambda: {"/": json_answer('{"a": 1}')})
    unending: dict[str, bytes] = field(factory=dict)
    received: list[Received] = field(factory=list)
    reached: asyncio.Event = field(factory=asyncio.Event)
    left: asyncio.Event = field(factory=asyncio.Event)
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await self._read(reader)
            self.received.append(request)
            self.reached.set()
            path = request.target.partition("?")[0]
            writer.write(self.unending.get(path) or self.answers.get(path, answer("nothing here", 404)))
            await writer.drain()
            if path in self.unending:
                await reader.read()
        self.left.set()
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        head = await reader.readuntil(b"\r\n\r\n")
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.decode().split(" ")
        headers = message_from_bytes(rest)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        return Received(method, target, head, headers, body)


async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


server = pytest.fixture(serving)
other_server = pytest.fixture(serving)
"""Another origin: its port is another one."""


@pytest.fixture
def guard(server: Server, other_server: Server) -> GuardOptions:
    return GuardOptions(allow=(server.place, other_server.place))


@pytest.fixture
async def executor(guard: GuardOptions) -> AsyncIterator[RestExecutor]:
    executor = RestExecutor(guard=Guard(guard))
    yield executor
    await executor.aclose()


def task_of(inputs: Mapping[str, Any], **fields: Any) -> Task:
    return Task(n=0, id="t", key="t", name="t", tree_id="t", executor="rest_executor", inputs=inputs, **fields)


@pytest.fixture
def fetch(executor: RestExecutor, server: Server) -> Fetch:
    """Make one attempt: `await fetch("/path", method="POST")`."""

    async def run(path: str = "/", options: Options | None = None, **inputs: Any) -> Any:
        executor.options = options or executor.options
        given = {"url": f"{server.origin}{path}", **inputs}
        return await executor.execute(given, TaskContext(task=task_of(given), idempotency_key="key-of-the-run"))

    return run
