"""What the server tells of itself: `/openapi.json`, `/openrpc.json` and, for people, `/docs`.

They hold the operations of all plugins, are made when first asked for, and need the scope `read`.
"""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from apflow_hookspecs import Caller, Engine, Json
from apflow_hookspecs.errors import PermissionDenied
from apflow_server import audit
from apflow_server.answers import json_response
from apflow_server.openapi import openapi
from apflow_server.openrpc import openrpc
from apflow_server.page import POLICY, SERVER, Page
from apflow_server.state import Serving


def document_routes() -> list[BaseRoute]:
    """The routes of the documents."""
    documents = Documents()
    return [
        Route("/openapi.json", documents.openapi, methods=["GET"]),
        Route("/openrpc.json", documents.openrpc, methods=["GET"]),
        Route("/docs", documents.page, methods=["GET"]),
    ]


class Documents:
    """The documents of one server, each made once; its methods are endpoints.

    Raises:
        PermissionDenied: The caller lacks the scope `read`.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    async def openapi(self, request: Request) -> Response:
        """All routes of the server itself."""
        serving = _readable(request)
        if "openapi" not in self._made:
            self._made["openapi"] = _openapi(serving)
        return json_response(self._made["openapi"])

    async def openrpc(self, request: Request) -> Response:
        """All operations."""
        serving = _readable(request)
        if "openrpc" not in self._made:
            self._made["openrpc"] = openrpc(serving.engine, _info())
        return json_response(self._made["openrpc"])

    async def page(self, request: Request) -> Response:
        """All operations, for people."""
        serving = _readable(request)
        if "page" not in self._made:
            self._made["page"] = await _page(serving)
        address = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        return HTMLResponse(self._made["page"].replace(SERVER, escape(address)), headers={"Content-Security-Policy": POLICY})


def _readable(request: Request) -> Serving:
    caller: Caller = request.state.caller
    if not caller.scopes & {"read", "admin"}:
        error = PermissionDenied("what the server tells of itself needs the scope 'read'")
        audit.denied(request, error)
        raise error
    serving: Serving = request.app.state.server
    return serving


def _info() -> dict[str, str]:
    return {"title": "apflow", "version": version("apflow-server")}


def _openapi(serving: Serving) -> dict[str, Any]:
    return openapi(serving.engine, _info(), max_batch=serving.options.max_batch, guarded=bool(serving.credentials))


async def _page(serving: Serving) -> str:
    engine = serving.engine
    samples: dict[str, Json] = {"tasks": await _tasks(engine), "fields": {"name": "a better name"}}
    operations = tuple(engine.describe(name) for name in engine.operations)
    return Page("apflow", operations, samples, bool(serving.credentials)).html()


async def _tasks(engine: Engine) -> list[Json]:
    """A tree of one task, of an executor that is there."""
    told = cast("dict[str, list[dict[str, Json]]]", await engine.call("system.executors", {}, Caller.local()))
    return [executor["example"] for executor in told["executors"][:1]] or [{"name": "hello", "executor": "EXECUTOR"}]
