"""A server on a free port, in the test's own event loop."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import httpx
from attrs import frozen
from starlette.applications import Starlette

from apflow.engine import Engine
from apflow.testing import engine_of
from apflow_server import Server
from apflow_server.application import application
from apflow_server.binding import bound as bound_to
from apflow_server.options import Options
from apflow_server.running import listening


@frozen
class Served:
    engine: Engine
    app: Starlette
    port: int
    http: httpx.AsyncClient


@asynccontextmanager
async def served(*executors, plugins=None, send_buffer=None, url="memory:", **options):
    """The engine, the application, its port and a client for it."""
    server = Server()
    async with engine_of(*executors, plugins={"server": server, **(plugins or {})}, url=url) as engine:
        chosen = Options(**options)
        app = application(engine, server.plugins, chosen)
        await app.state.server.start()
        (bound,) = bound_to([(socket.AF_INET, ("127.0.0.1", 0))])
        if send_buffer is not None:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # those that it accepts have the same
        port = bound.getsockname()[1]
        async with (
            listening(app, [bound], chosen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield Served(engine, app, port, client)
