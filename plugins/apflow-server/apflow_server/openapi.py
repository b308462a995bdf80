"""The routes of the server, as OpenAPI 3.1 describes them (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

from typing import Any

from apflow_hookspecs import ApflowError, Engine
from apflow_hookspecs.errors import BY_CODE
from apflow_server.components import Components, JsonSchema, reference
from apflow_server.errors import status_of
from apflow_server.health import LIVE, READY
from apflow_server.openrpc import rpc_path
from apflow_server.rest import BODILESS, ROUTES, Rest
from apflow_server.streams import PATH as EVENTS

VERSION = "3.1.0"

Described = dict[str, Any]

_ID: JsonSchema = {"type": ["string", "number", "null"]}
_ERROR: JsonSchema = {
    "description": "A refusal, as JSON-RPC has it.",
    "type": "object",
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": _ID,
        "error": {
            "type": "object",
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {"type": "object"}},
            "required": ["code", "message"],
        },
    },
    "required": ["jsonrpc", "id", "error"],
}
_RESULT: JsonSchema = {
    "description": "The result of a request.",
    "type": "object",
    "properties": {"jsonrpc": {"const": "2.0"}, "id": _ID, "result": {}},
    "required": ["jsonrpc", "id", "result"],
}
_BEARER = {"bearer": {"type": "http", "scheme": "bearer"}}


def openapi(engine: Engine, info: dict[str, str], *, max_batch: int, guarded: bool) -> Described:
    """The OpenAPI document of the server's own routes.

    Args:
        engine: Whose operations they offer.
        info: Its `title` and `version`.
        max_batch: Requests in a JSON-RPC batch.
        guarded: Whether a credential is asked for.
    """
    components = Components()
    described = {name: _shared(engine.describe(name), components) for name in engine.operations}
    components.add("Error", _ERROR)
    components.add("Answer", {"oneOf": [_RESULT, reference("Error")]})
    paths: dict[str, Described] = {}
    for path in ("/tasks", "/system"):
        called = [told for name, told in described.items() if rpc_path(name) == path]
        paths[path] = {"post": _rpc(path, called, components, max_batch)}
    for rest in ROUTES:
        paths.setdefault(rest.path, {})[rest.method.lower()] = _resource(rest, described[rest.operation])
    paths |= {EVENTS: {"get": _events()}, **_health(), **_documents()}
    return {
        "openapi": VERSION,
        "info": info,
        "paths": paths,
        "components": {"schemas": components.schemas, "securitySchemes": _BEARER},
        "security": [{"bearer": []}] if guarded else [],
    }


def _shared(told: Described, components: Components) -> Described:
    return {**told, "params": components.shared(told["params"]), "result": components.shared(told["result"])}


def _rpc(path: str, called: list[Described], components: Components, max_batch: int) -> Described:
    requests = [components.add(f"Request.{told['name']}", _request(told)) for told in called]
    request = components.add(f"Request_{path[1:]}", {"oneOf": requests})
    batch = {"type": "array", "items": request, "minItems": 1, "maxItems": max_batch}
    answer = reference("Answer")
    return {
        "operationId": "rpc" + path.replace("/", "."),
        "summary": "Requests of JSON-RPC 2.0, one or a batch.",
        "requestBody": _json({"oneOf": [request, batch]}, required=True),
        "responses": {
            "200": _response("The answer, or those to a batch.", {"oneOf": [answer, {"type": "array", "items": answer}]}),
            "204": {"description": "There were notifications only."},
            "default": _refused(),
        },
    }


def _request(told: Described) -> JsonSchema:
    required = ["method", "params"] if told["params"]["required"] else ["method"]
    return {
        "description": told["summary"],
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": _ID,
            "method": {"const": told["name"]},
            "params": {"oneOf": [told["params"], {"type": "array"}]},
        },
        "required": required,
    }


def _resource(rest: Rest, told: Described) -> Described:
    params = told["params"]
    in_path = [name for name in params["properties"] if f"{{{name}}}" in rest.path]
    others = {name: schema for name, schema in params["properties"].items() if name not in in_path}
    required = [name for name in params["required"] if name in others]
    described = {
        "operationId": told["name"],
        "summary": told["summary"],
        "parameters": [_parameter("path", name, params["properties"][name], required=True) for name in in_path],
        "responses": {"200": _response("The result.", told["result"]), **_refusals(told)},
        "x-scope": told["scope"],
    }
    if rest.method in BODILESS:
        described["parameters"] += [
            _parameter("query", name, schema, required=name in required) for name, schema in others.items()
        ]
    elif others:
        body = {"type": "object", "properties": others, "required": required}
        described["requestBody"] = _json(body, required=bool(required))
    return described


def _parameter(where: str, name: str, schema: JsonSchema, *, required: bool) -> Described:
    return {"name": name, "in": where, "required": required, "schema": schema, "description": schema.get("description", "")}


def _events() -> Described:
    after: JsonSchema = {"type": "integer", "minimum": 0}
    task = {"type": "string", "description": "Id of any task of the tree."}
    return {
        "operationId": "tasks.watch",
        "summary": "The events of a tree as a stream, those that are stored and then live, to the end of its latest run.",
        "parameters": [
            _parameter("path", "task_id", task, required=True),
            _parameter("query", "after", {**after, "description": "Only events with a higher number."}, required=False),
            _parameter(
                "header", "Last-Event-ID", {**after, "description": "The same; it goes before `after`."}, required=False
            ),
        ],
        "responses": {
            "200": {
                "description": "Server-sent events: `id` is an event's number, `event` its type, `data` an `EventView`. "
                "`lagged` and `failed` have no id.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "204": {"description": "The run has ended, and there are no events after this one."},
            "default": _refused(),
        },
        "x-scope": "read",
    }


def _health() -> dict[str, Described]:
    status: JsonSchema = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    well, not_well = _response("Yes.", status), _response("No.", status)
    return {
        LIVE: {"get": _look("live", "Whether the server answers.", {"200": well}, public=True)},
        READY: {"get": _look("ready", "Whether it takes new work.", {"200": well, "503": not_well}, public=True)},
    }


def _documents() -> dict[str, Described]:
    document = {"200": _response("The document.", {"type": "object"}), "default": _refused()}
    page = {"200": {"description": "The page.", "content": {"text/html": {}}}, "default": _refused()}
    return {
        "/openapi.json": {"get": _look("openapi", "This document.", document)},
        "/openrpc.json": {"get": _look("openrpc", "The operations, as OpenRPC describes them.", document)},
        "/docs": {"get": _look("docs", "The operations, for people.", page)},
    }


def _look(name: str, summary: str, responses: Described, *, public: bool = False) -> Described:
    free: Described = {"security": []} if public else {}
    return {"operationId": name, "summary": summary, "responses": responses, **free}


def _refusals(told: Described) -> Described:
    """The refusals by status, each with the errors that it stands for."""
    reasons: dict[str, list[str]] = {}
    for error in told["errors"]:
        reasons.setdefault(str(status_of(BY_CODE.get(error["code"], ApflowError)())), []).append(_reason(error))
    return {status: _refused(" ".join(found)) for status, found in sorted(reasons.items())} | {"default": _refused()}


def _reason(error: Described) -> str:
    return f"{error['code']}: {error['message']}"


def _refused(why: str = "A refusal.") -> Described:
    return _response(why, reference("Error"))


def _response(description: str, schema: JsonSchema) -> Described:
    return {"description": description, **_json(schema)}


def _json(schema: JsonSchema, **others: bool) -> Described:
    return {"content": {"application/json": {"schema": schema}}, **others}
