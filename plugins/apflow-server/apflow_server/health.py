"""Whether the server lives, and whether it is ready: a status, for anybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from apflow_hookspecs import Caller
from apflow_server.answers import json_response
from apflow_server.state import Serving

LIVE, READY = "/health/live", "/health/ready"


async def ready(serving: Serving) -> bool:
    """Whether new work is taken: it is not about to stop, and its storage answers."""
    if serving.draining.is_set():
        return False
    health = await serving.engine.call("system.health", {}, Caller(None, frozenset({"read"}), "local"))
    return bool(health["storage"]["status"] == "ok")


async def health(request: Request, serving: Serving) -> Response:
    """The answer to one of the two paths."""
    well = request.url.path == LIVE or await ready(serving)
    return json_response({"status": "ok" if well else "unavailable"}, 200 if well else 503)
