"""What stands before the routes, outermost first."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apflow_hookspecs import SCOPES, Caller
from apflow_server.errors import NoCredential, harmless, refusal
from apflow_server.state import Serving


class Faults:
    """Whatever goes wrong becomes an answer; a traceback stays in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001 - foreign code
            told = harmless(error, scope.get("path", ""))
            if not begun:
                await refusal(told)(scope, receive, send)


class Authentication:
    """Who makes a request; nobody gets past it where a credential is configured and not shown."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app = app
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        caller = await self._serving.hooks.authenticate(HTTPConnection(scope))
        if caller is None:
            if await self._serving.start():
                raise NoCredential
            caller = Caller(None, SCOPES)
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)
