"""Who makes a request; where a credential is configured, nobody gets past this without one, but to the public paths."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from apflow_hookspecs import SCOPES, ApflowError, Caller
from apflow_server import audit
from apflow_server.errors import NoCredential
from apflow_server.sites import refuse
from apflow_server.state import Serving

PUBLIC = "public:"
"""How the name of a route begins that needs no credential: `Route("/card.json", card, name="public:card")`."""


def public_paths(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """The paths of routes that are named public, and have no parameters."""
    named = (route for route in routes if isinstance(route, Route) and (route.name or "").startswith(PUBLIC))
    return frozenset(route.path for route in named if "{" not in route.path)


class Authentication:
    """Puts the caller into the request's state.

    Args:
        app: What comes next.
        serving: Whose plugins know callers.
        public: Paths that anybody may ask for, compared exactly with the decoded path that is routed.
    """

    def __init__(self, app: ASGIApp, serving: Serving, public: frozenset[str]) -> None:
        self._app = app
        self._serving = serving
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        try:
            caller = await self._caller(request)
        except ApflowError as error:
            audit.denied(request, error)
            await refuse(error, scope, receive, send)
        else:
            scope.setdefault("state", {})["caller"] = caller
            await self._app(scope, receive, send)

    async def _caller(self, request: HTTPConnection) -> Caller:
        if request.scope["path"] in self._public:
            return Caller()
        credentials = await self._serving.start()
        caller = await self._serving.hooks.authenticate(request)
        if caller is not None:
            return caller
        if credentials:
            raise NoCredential
        return Caller(None, SCOPES)
