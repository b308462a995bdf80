"""The application on uvicorn, from a bound port to the end of the last answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from apflow_server.options import Options
from apflow_server.protocol import protocol
from apflow_server.state import Serving

LAST_ANSWERS = 5
"""Seconds that answers have to end, once the port is closed."""


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to the program, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def listening(app: Starlette, sockets: Sequence[socket.socket], options: Options) -> AsyncIterator[None]:
    """Serve an application on bound sockets, for the length of the block; then streams end, and the port closes."""
    serving: Serving = app.state.server
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", http=protocol(options), ws="none",
        proxy_headers=bool(options.trusted_proxies), forwarded_allow_ips=list(options.trusted_proxies),
        server_header=False, date_header=False, backlog=options.backlog,
        timeout_keep_alive=options.keep_alive,  # type: ignore[arg-type] # it is handed to call_later
        timeout_graceful_shutdown=LAST_ANSWERS,
    )  # fmt: skip
    server = _Uvicorn(config)
    running = asyncio.create_task(server.serve(list(sockets)))
    try:
        await server.listening.wait()
        yield
    finally:
        serving.ending.set()
        server.should_exit = True
        await running
        for connection in list(server.server_state.connections):
            connection.transport.abort()
