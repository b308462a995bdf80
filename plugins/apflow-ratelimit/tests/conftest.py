from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import asynccontextmanager

import httpx
import pytest
from programs import Running
from starlette.requests import HTTPConnection

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import SCOPES, Caller, executor, hookimpl
from apflow_ratelimit import RateLimit
from apflow_server import Server
from apflow_server.application import application
from apflow_server.binding import bound, resolved
from apflow_server.options import Options
from apflow_server.running import listening


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def connection():
    """A request as a server sees it: from an address, with what proxies say about it."""

    def connection(address="192.0.2.1", *forwarded):
        headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
        client = None if address is None else (address, 50_000)
        return HTTPConnection({"type": "http", "headers": headers, "client": client, "path": "/tasks"})

    return connection


@executor("work")
async def work():
    return "done"


class Names:
    """Takes everybody at his word."""

    @hookimpl
    def apflow_authenticate(self, request):
        name = request.headers.get("x-name")
        return None if name is None else Caller(name, SCOPES)


@asynccontextmanager
async def served(**section):
    """A client of a server with this `[ratelimit]`."""
    server = Server()
    plugins = {"names": Names(), "ratelimit": RateLimit(), "server": server}
    async with engine_of(work, plugins=plugins, sections={"ratelimit": section}) as engine:
        options = Options(port=0)
        sockets = bound(resolved(options.host, options.port))
        async with listening(application(engine, server.plugins, options), sockets, options):
            url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                yield client


def asking(method="tasks.count", **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def ask(client, method="tasks.count", *, name=None, **headers):
    """The answer to one request."""
    named = {} if name is None else {"x-name": name}
    return await client.post("/tasks", json=asking(method), headers={**named, **headers})


async def statuses(client, times, **how):
    """The statuses of the answers to some requests, one after the other."""
    return [(await ask(client, **how)).status_code for _ in range(times)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """A Redis on a port of its own, which keeps nothing."""

    def __init__(self, program, folder):
        self.port = free_port()
        self._start = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        self.running = Running(subprocess.Popen(self._start, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        self.running.until("Ready to accept connections")

    def stop(self):
        self.running.close()


@pytest.fixture
def redis(tmp_path):
    pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    redis = Redis(program, tmp_path)
    yield redis
    redis.stop()
