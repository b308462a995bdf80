"""`apflow serve`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import click
from attrs import evolve

from apflow_hookspecs import Caller, Engine
from apflow_server import STARTED
from apflow_server.application import application
from apflow_server.binding import bound, resolved
from apflow_server.options import Options
from apflow_server.running import listening

C = TypeVar("C")


class Session(Protocol):
    """What the program hands to a command (see `apflow_hookspecs.Command`)."""

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's table of the configuration."""
        ...

    def serve(self, work: Callable[[Engine, asyncio.Event], Awaitable[Any]]) -> Any:
        """Open the engine, and do some work with it until a signal comes."""
        ...


@click.command("serve")
@click.option("--host", help="Name or address to bind to.  [127.0.0.1]")
@click.option("--port", type=int, help="0 takes a free one.  [8000]")
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None) -> None:
    """Serve the operations over HTTP."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    options = evolve(session.section("server", Options), **given)

    async def work(engine: Engine, asked: asyncio.Event) -> None:
        app = application(engine, STARTED.get().plugins, options)
        await app.state.server.start()
        sockets = bound(resolved(options.host, options.port))
        await engine.call("tasks.resume", {}, Caller.local())
        async with listening(app, sockets, options):
            click.echo(f"serving on http://{options.host}:{sockets[0].getsockname()[1]}")
            await asked.wait()
            app.state.server.draining.set()
            await engine.drain()

    session.serve(work)
