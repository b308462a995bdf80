"""What all requests of one server share."""

from __future__ import annotations

import asyncio

from attrs import define, field
from starlette.requests import HTTPConnection

from apflow_hookspecs import Caller, Engine
from apflow_server.hooks import Hooks
from apflow_server.options import Options


@define(eq=False)
class Serving:
    """One server: `request.app.state.server`.

    Attributes:
        engine: What it serves.
        hooks: The plugins that join in.
        options: What the operator set.
        credentials: Which credentials were configured when it started; where there are none, everybody is let in; None before.
        draining: Set when it is about to stop; it is not ready any more.
        ending: Set when streams have to end, since the port is about to close.
    """

    engine: Engine
    hooks: Hooks
    options: Options
    credentials: tuple[str, ...] | None = field(default=None, init=False)
    draining: asyncio.Event = field(factory=asyncio.Event, init=False)
    ending: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def start(self) -> tuple[str, ...]:
        """Ask the plugins for the credentials, unless that was done.

        Raises:
            ConfigError: A plugin failed.
        """
        if self.credentials is None:
            self.credentials = await self.hooks.credentials(self.engine)
        return self.credentials

    async def admit(self, request: HTTPConnection, caller: Caller, operation: str) -> None:
        """Ask the plugins whether an operation may run now.

        Raises:
            ApflowError: It may not.
        """
        await self.hooks.admit(request, caller, operation)
