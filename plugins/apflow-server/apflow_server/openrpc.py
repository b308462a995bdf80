"""The JSON-RPC side of the server, as OpenRPC describes it (https://spec.open-rpc.org)."""

from __future__ import annotations

from typing import Any

from apflow_hookspecs import Engine
from apflow_server.components import Components, JsonSchema

VERSION = "1.3.2"


def openrpc(engine: Engine, info: dict[str, str]) -> dict[str, Any]:
    """The OpenRPC document of all operations; `info` is its `title` and `version`."""
    components = Components()
    methods = [_method(engine.describe(name), components) for name in engine.operations]
    return {
        "openrpc": VERSION,
        "info": info,
        "methods": methods,
        "components": {"schemas": components.schemas},
    }


def rpc_path(operation: str) -> str:
    """Where an operation is called."""
    return "/system" if operation.startswith("system.") else "/tasks"


def _method(told: dict[str, Any], components: Components) -> dict[str, Any]:
    params = components.shared(told["params"])
    path = rpc_path(told["name"])
    return {
        "name": told["name"],
        "summary": told["summary"],
        "paramStructure": "either",
        "params": _params(params),
        "result": {"name": "result", "schema": components.shared(told["result"])},
        "errors": told["errors"],
        "servers": [{"name": path, "url": path}],
        "x-scope": told["scope"],
    }


def _params(schema: JsonSchema) -> list[dict[str, Any]]:
    required = set(schema.get("required", ()))
    return [
        {"name": name, "required": name in required, "schema": part, "description": part.get("description", "")}
        for name, part in schema["properties"].items()
    ]
