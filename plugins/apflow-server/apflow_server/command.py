"""`apflow serve`."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast

import click
from attrs import evolve, frozen

from apflow_hookspecs import Caller, Engine
from apflow_server import Server
from apflow_server.application import application
from apflow_server.binding import bound, permitted, resolved, url_of
from apflow_server.demo import demonstrated, to_try
from apflow_server.options import Options
from apflow_server.running import listening

C = TypeVar("C")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Session(Protocol):
    """What the program hands to a command (see `apflow_hookspecs.Command`)."""

    json: bool

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's table of the configuration."""
        ...

    def serve(self, work: Callable[[Engine, asyncio.Event], Awaitable[Any]], *, loop_factory: LoopFactory | None) -> Any:
        """Open the engine, and do some work with it until a signal comes."""
        ...


@click.command("serve")
@click.option("--host", metavar="NAME", help="Name or address to bind to.  [127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="0 takes a free one.  [8000]")
@click.option("--demo", is_flag=True, help="Begin with an example tree, and say what to try.")
@click.option(
    "--allow-unauthenticated-network", "open_to_all", is_flag=True, help="Let other machines in without a credential."
)
@click.pass_obj
def serve(session: Session, *, host: str | None, port: int | None, demo: bool, open_to_all: bool) -> None:
    """Serve the operations over HTTP, until SIGINT or SIGTERM."""
    options = session.section("server", Options)
    options = evolve(options, host=options.host if host is None else host, port=options.port if port is None else port)
    session.serve(_Service(options, demo=demo, open_to_all=open_to_all, json=session.json).run, loop_factory=_loop_factory())


def _loop_factory() -> LoopFactory | None:
    """The event loop of uvloop, which answers more requests, where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop


@frozen
class _Service:
    """One run of the server.

    Args:
        options: What the operator set.
        demo: Begin with an example tree.
        open_to_all: Whether other machines may come in without a credential.
        json: Print for machines.
    """

    options: Options
    demo: bool
    open_to_all: bool
    json: bool

    async def run(self, engine: Engine, asked: asyncio.Event) -> None:
        """Serve until asked to end, and then until what runs has ended, or its time is over."""
        app = application(engine, cast("Server", engine.plugin("server")).plugins, self.options)
        credentials = await app.state.server.start()
        sockets = self._bound(credentials)
        await engine.call("tasks.resume", {}, Caller.local())
        async with listening(app, sockets, self.options):
            await self._announce(engine, url_of(self.options.host, sockets), credentials)
            await asked.wait()
            click.echo("stopping: what runs has its time to end; once more ends at once", err=True)
            app.state.server.draining.set()
            await engine.drain()

    def _bound(self, credentials: Sequence[str]) -> list[socket.socket]:
        host = self.options.host
        addresses = resolved(host, self.options.port)
        if not permitted(host, addresses, secured=bool(credentials), allowed=self.open_to_all):
            click.echo(f"warning: whoever reaches {host} may do everything here: no credential is asked for", err=True)
        return bound(addresses)

    async def _announce(self, engine: Engine, url: str, credentials: Sequence[str]) -> None:
        tree_id = await demonstrated(engine) if self.demo else None
        if self.json:
            click.echo(json.dumps({"url": url, "credentials": list(credentials), "demo": tree_id}))
            return
        for line in self._told(url, credentials, tree_id):
            click.echo(line)

    @staticmethod
    def _told(url: str, credentials: Sequence[str], tree_id: str | None) -> Iterator[str]:
        asked = f"every request needs a credential: {', '.join(credentials)}"
        yield f"serving on {url}; {asked if credentials else 'nobody is asked for a credential'}"
        if tree_id is not None:
            yield "try:"
            yield from (f"  {line}" for line in to_try(url, tree_id, secured=bool(credentials)))
