"""What each answer tells of the rate limit, and the refusal of a request before it is read.

The header fields are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (form of version 11).
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apflow_hookspecs.errors import Overloaded, RateLimited
from apflow_ratelimit.counting import Count
from apflow_ratelimit.limiting import Limiting
from apflow_server import audit
from apflow_server.sites import refuse

PROBES = "/health/"
"""Where monitors ask whether the server is well: never limited."""


class Counted:
    """ASGI middleware: counts each request, and tells in each answer what is left.

    Args:
        app: What answers.
        limiting: The limits.
    """

    def __init__(self, app: ASGIApp, limiting: Limiting) -> None:
        self._app = app
        self._limiting = limiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith(PROBES):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fields(connection.state.tally.counts.values()))
            await send(message)

        try:
            await self._limiting.begin(connection)
        except Overloaded as error:
            if isinstance(error, RateLimited):
                audit.denied(connection, error)
            await refuse(error, scope, receive, tell)
        else:
            await self._app(scope, receive, tell)


def fields(counts: Collection[Count]) -> dict[str, str]:
    """The header fields that tell of some counts; none where nothing was counted."""
    if not counts:
        return {}
    policies = (f'"{count.name}";q={count.rate.amount};w={count.rate.get_expiry()}' for count in counts)
    states = (f'"{count.name}";r={count.left};t={count.retry_after}' for count in counts)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
