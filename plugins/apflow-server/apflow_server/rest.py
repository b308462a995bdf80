"""The operations as plain resources: one table, from which the routes and their documents are derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apflow_hookspecs import Engine, Json
from apflow_hookspecs.errors import InvalidParams
from apflow_server.answers import json_response
from apflow_server.bodies import body_of
from apflow_server.calling import operate
from apflow_server.decoding import decoded

BODILESS = frozenset({"GET", "HEAD"})
_LISTS = ({"array"}, {"array", "null"})


@frozen
class Rest:
    """An operation as a resource.

    Args:
        method: Of HTTP.
        path: With the parameters that it holds in braces.
        operation: Whose other parameters are in the query, or as an object in the body.
    """

    method: str
    path: str
    operation: str


ROUTES: tuple[Rest, ...] = (
    Rest("GET", "/tasks", "tasks.list"),
    Rest("GET", "/tasks/{task_id}", "tasks.get"),
    Rest("PATCH", "/tasks/{task_id}", "tasks.update"),
    Rest("DELETE", "/tasks/{task_id}", "tasks.delete"),
    Rest("GET", "/tasks/{task_id}/tree", "tasks.tree"),
    Rest("GET", "/tasks/{task_id}/history", "tasks.history"),
    Rest("GET", "/tasks/{task_id}/children", "tasks.children"),
    Rest("GET", "/tasks/{task_id}/explain", "tasks.explain"),
    Rest("POST", "/tasks/{task_id}/execute", "tasks.execute"),
    Rest("POST", "/tasks/{task_id}/cancel", "tasks.cancel"),
    Rest("POST", "/tasks/{task_id}/copy", "tasks.copy"),
    Rest("POST", "/tasks/{task_id}/answer", "tasks.answer"),
    Rest("POST", "/tasks/{task_id}/archive", "tasks.archive"),
    Rest("GET", "/system/health", "system.health"),
    Rest("GET", "/system/executors", "system.executors"),
    Rest("GET", "/system/plugins", "system.plugins"),
    Rest("GET", "/system/stats", "system.stats"),
)


def rest_routes(engine: Engine) -> list[Route]:
    """The routes of the table."""
    return [Route(rest.path, _Resource(engine, rest).answer, methods=[rest.method]) for rest in ROUTES]


class _Resource:
    """One line of the table."""

    def __init__(self, engine: Engine, rest: Rest) -> None:
        self._rest = rest
        described: Any = engine.describe(rest.operation)["params"]
        self._schemas: Mapping[str, Any] = described["properties"]
        self._parts: Mapping[str, Any] = described.get("$defs", {})

    async def answer(self, request: Request) -> Response:
        """Answer a request with the result of the operation."""
        params = {**self._query(request), **await self._body(request)}
        for name, value in request.path_params.items():
            if params.setdefault(name, value) != value:
                raise InvalidParams(f"{name}: the path says {value!r}, and the request something else")
        return json_response(await operate(request, self._rest.operation, params))

    async def _body(self, request: Request) -> dict[str, Json]:
        if self._rest.method in BODILESS:
            return {}
        body = await body_of(request)
        params = decoded(body, request.app.state.server.options) if body.strip() else {}
        if not isinstance(params, dict):
            raise InvalidParams("the body has to be an object of parameters")
        return params

    def _query(self, request: Request) -> dict[str, Json]:
        if not request.scope["query_string"]:
            return {}
        query = request.query_params
        return {name: self._typed(name, query.getlist(name)) for name in query}

    def _typed(self, name: str, given: list[str]) -> Json:
        """A parameter of the query, as its operation wants it; what does not fit stays text, which that refuses."""
        kinds = set(_kinds(self._schemas.get(name, {}), self._parts))
        values = [_typed(text, kinds) for text in given]
        return values if len(values) > 1 or kinds in _LISTS else values[0]


def _kinds(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """The types that a schema takes."""
    if "$ref" in schema:
        yield from _kinds(parts.get(schema["$ref"].rpartition("/")[2], {}), parts)
    for choice in schema.get("anyOf", ()):
        yield from _kinds(choice, parts)
    kind = schema.get("type")
    if isinstance(kind, str):
        yield kind
    elif "enum" in schema:
        yield "string"


def _typed(text: str, kinds: set[str]) -> Json:
    if "string" in kinds or not kinds & {"integer", "number", "boolean"}:
        return text
    try:
        value = msgspec.json.decode(text.encode(), strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) else text
