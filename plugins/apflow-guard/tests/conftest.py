from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpcore
import pytest
from attrs import define, field, frozen

from apflow_guard import Guard, GuardOptions

PUBLIC = "93.184.215.14"
PRIVATE = "10.1.2.3"


@frozen
class Head:
    """The head of a request, as a server got it; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]


@define(eq=False)
class Server:
    """A real server on a port of 127.0.0.1, which answers what a test writes; where that is None it is silent."""

    answer: object
    port: int = 0
    heads: list[Head] = field(factory=list)
    connections: int = 0
    most: int = 0
    running: set[asyncio.Task] = field(factory=set)
    idle: asyncio.Event = field(factory=asyncio.Event)
    asked: asyncio.Event = field(factory=asyncio.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    @property
    def targets(self):
        return [head.target for head in self.heads]

    async def talk(self, reader, writer):
        task = asyncio.current_task()
        self.running.add(task)
        self.idle.clear()
        self.connections += 1
        self.most = max(self.most, len(self.running))
        try:
            while lines := await self.head(reader):
                await self.one(lines, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client may go at any time, and the test may end
        finally:
            writer.close()
            self.running.discard(task)
            if not self.running:
                self.idle.set()

    async def head(self, reader):
        try:
            return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:
            return None

    async def one(self, lines, reader, writer):
        method, target, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        head = Head(method, target, {name.lower(): value for name, value in headers.items()})
        self.heads.append(head)
        self.asked.set()
        answer = self.answer(head)
        if answer is None:
            await reader.read()
        elif isinstance(answer, bytes):
            writer.write(answer)
        else:
            async for part in answer:
                writer.write(part)
                await writer.drain()


@pytest.fixture
async def serve():
    """Starts servers: of what they answer to a head, in bytes or in parts."""
    async with AsyncExitStack() as stack:

        async def serve(answer, **options):
            server = Server(answer if callable(answer) else lambda _: answer)
            listening = await stack.enter_async_context(await asyncio.start_server(server.talk, "127.0.0.1", 0, **options))
            server.port = listening.sockets[0].getsockname()[1]
            stack.push_async_callback(ended, server)
            return server

        yield serve


async def ended(server):
    tasks = tuple(server.running)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def reply(body=b"", status="200 OK", **headers):
    """An answer; `_` in names of headers is a hyphen, and what is None is left out."""
    headers = {"content_length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def redirect(location, status="302 Found"):
    return reply(status=status, location=location)


def guard_for(*allow, resolve=None, network=None, **options):
    """A guard with what `[guard]` would say, and names that are resolved here, if there are any."""
    seams = {name: seam for name, seam in {"resolve": resolve, "network": network}.items() if seam is not None}
    return Guard(GuardOptions(allow=allow, **options), **seams)


def opened(server, **options):
    """A guard that lets requests go to a server."""
    return guard_for(f"127.0.0.1:{server.port}", **options)


async def body_of(guard, url, *, method="GET", headers=None, content=None, **options):
    """The body of an answer, through a client of its own."""
    async with guard.client() as client:
        request = client.build_request(method, url, headers=headers, content=content)
        response = await guard.send(client, request, **options)
        try:
            return await response.aread()
        finally:
            await response.aclose()


@define(eq=False)
class Names:
    """A resolver; each name has answers, of which the last one stays."""

    answers: dict[str, list[tuple[str, ...]]]
    asked: list[str] = field(factory=list)

    async def __call__(self, host, port):
        self.asked.append(host)
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def names(**answers):
    """A resolver of one answer a name; `_` in names is a dot."""
    return Names({name.replace("_", "."): [answer] for name, answer in answers.items()})


@define(eq=False)
class Detour(httpcore.AsyncNetworkBackend):
    """Notes where connections were to go, and leads them to a server of this machine; what is `dead` refuses."""

    port: int
    dead: tuple[str, ...] = ()
    reached: list[tuple[str, int]] = field(factory=list)

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109 - httpcore's
        self.reached.append((host, port))
        if host in self.dead:
            raise httpcore.ConnectError(f"{host} is dead")
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self.port, timeout)
