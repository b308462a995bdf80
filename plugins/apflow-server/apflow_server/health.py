"""Whether the server lives, and whether it is ready: a status, for anybody, whatever else goes on."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from apflow_hookspecs import Caller
from apflow_server.answers import json_response
from apflow_server.errors import WrongMethod, refusal
from apflow_server.state import Serving

LIVE, READY = "/health/live", "/health/ready"
PROBE = Caller("health", frozenset({"read"}))
"""Sees no more than it has to; the facts about the storage would be counted for it."""


class Health:
    """Answers `/health/live` and `/health/ready` before anything else is asked."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app = app
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] not in (LIVE, READY):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await refusal(WrongMethod())(scope, receive, send)
        else:
            await (await self._answer(scope["path"]))(scope, receive, send)

    async def _answer(self, path: str) -> Response:
        well = path == LIVE or await self._is_ready()
        return json_response({"status": "ok" if well else "unavailable"}, 200 if well else 503)

    async def _is_ready(self) -> bool:
        if self._serving.draining.is_set():
            return False
        health = await self._serving.engine.call("system.health", {}, PROBE)
        return bool(health["storage"]["status"] == "ok" and health["abandoned"] <= health["max_abandoned"])
