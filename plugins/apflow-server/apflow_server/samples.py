"""An example of each operation, and of the line that calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from apflow_hookspecs import Json
from apflow_server.components import JsonSchema
from apflow_server.openrpc import rpc_path

ALWAYS = frozenset({"task_id"})
"""Parameters that an example has, also where one may do without them: most operations are about a task."""

DAY = 86_400.0
"""Most numbers are seconds, and some say what is old enough to be deleted."""

_OF_TYPE: dict[str, Json] = {"number": DAY, "boolean": True, "object": {}}


def sample_params(params: JsonSchema, known: Mapping[str, Json]) -> dict[str, Json]:
    """Parameters of an operation, those that it needs; names in capitals stand for what only the reader knows.

    Args:
        params: Schema of the parameters, with its own `$defs`.
        known: Samples by the name of the parameter.
    """
    wanted = {*params["required"], *ALWAYS}
    parts = params.get("$defs", {})
    return {
        name: known[name] if name in known else _sample(name, schema, parts)
        for name, schema in params["properties"].items()
        if name in wanted
    }


def curl(url: str, operation: str, params: Mapping[str, Json], *, guarded: bool) -> str:
    """The line for a shell that calls an operation, with the token of the environment where a credential is asked for."""
    credential = ' -H "Authorization: Bearer $APFLOW_TOKEN"' if guarded else ""
    body: dict[str, Any] = {"method": operation} | ({"params": dict(params)} if params else {})
    return f"curl -X POST {url}{rpc_path(operation)}{credential} -d {shlex.quote(json.dumps(body))}"


def _sample(name: str, schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Json:
    if "$ref" in schema:
        return _sample(name, parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return _sample(name, schema["anyOf"][0], parts)
    if "enum" in schema:
        first: Json = schema["enum"][0]
        return first
    if schema.get("type") == "array":
        return [_sample(name.removesuffix("s"), schema.get("items", {}), parts)]
    if schema.get("type") == "integer":
        return int(schema.get("minimum", 1))
    return _OF_TYPE.get(schema.get("type", ""), name.upper())
