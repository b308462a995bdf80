"""Which names the server is known by, and which sites' pages may use it.

A page that an attacker's name leads to (DNS rebinding) shows by its `Host`; a page of another site, by its `Origin`.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from apflow_hookspecs import ApflowError
from apflow_server import audit
from apflow_server.errors import WrongHost, WrongOrigin, refusal
from apflow_server.options import Options

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FOREIGN = frozenset({"cross-site", "same-site"})
"""What `Sec-Fetch-Site` says of pages that are not the server's own (https://www.w3.org/TR/fetch-metadata)."""
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)


class Sites:
    """Refuses names and origins that are not the server's own."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._names = LOOPBACK | {_bracketed(name.lower()) for name in (options.host, *options.allowed_hosts)}
        self._origins = frozenset(options.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        error = self._refused(scope)
        if error is None:
            await self._app(scope, receive, send)
            return
        audit.denied(HTTPConnection(scope), error)
        await refuse(error, scope, receive, send)

    def _refused(self, scope: Scope) -> ApflowError | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._is_ours(host["name"].lower(), scope):
            return WrongHost()
        origins = headers.getlist("origin")
        if any(origin not in self._origins and urlsplit(origin).netloc.lower() != hosts[0].lower() for origin in origins):
            return WrongOrigin()
        # Images, scripts and plain forms of another site come without an Origin; following a link is nobody's misuse.
        if not origins and headers.get("sec-fetch-site") in _FOREIGN and headers.get("sec-fetch-mode") != "navigate":
            return WrongOrigin()
        return None

    def _is_ours(self, name: str, scope: Scope) -> bool:
        address = scope.get("server") or (None,)
        return "*" in self._names or name in self._names or name == _bracketed(str(address[0]))


async def refuse(error: ApflowError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a refusal; a websocket is closed before it is open, which clients see as 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await refusal(error)(scope, receive, send)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
