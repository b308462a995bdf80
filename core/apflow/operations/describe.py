"""What an executor takes and gives, as JSON Schema derived from its signature, and a task to start from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import PurePath
from typing import Any, TypedDict, get_args

import msgspec

from apflow.operations.parameters import DEFINITION
from apflow_hookspecs import ExecutableTask, FunctionExecutor, Json, Wait

JsonSchema = dict[str, Any]

_SAMPLES: dict[str, Json] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


class ExampleTask(TypedDict):
    """A task that an author can start from."""

    name: str
    executor: str
    inputs: dict[str, Any]


def executor_schema(executor: ExecutableTask) -> JsonSchema:
    """JSON Schema of an executor's inputs: its own `input_schema`, else what its signature says.

    A type that JSON Schema cannot express takes anything, so the schema never refuses what the executor takes.
    """
    given = getattr(executor, "input_schema", None)
    if given is not None:
        return dict(given)
    return _signature_schema(executor) if isinstance(executor, FunctionExecutor) else {"type": "object"}


def output_schema(executor: ExecutableTask) -> JsonSchema:
    """JSON Schema of an executor's result: its own `output_schema`, else its return type without `Wait`."""
    given = getattr(executor, "output_schema", None)
    if given is not None:
        return dict(given)
    if not isinstance(executor, FunctionExecutor):
        return {}
    schema, definitions = _type_schema(_without_wait(executor.signature.return_annotation))
    return _with_definitions(schema, definitions)


def example_task(executor: ExecutableTask) -> ExampleTask:
    """A task for an executor, with a sample for each input that it requires."""
    schema = executor_schema(executor)
    inputs = _sample(schema, schema.get("$defs", {}))
    return {"name": executor.id, "executor": executor.id, "inputs": inputs if isinstance(inputs, dict) else {}}


def _signature_schema(executor: FunctionExecutor) -> JsonSchema:
    schema: JsonSchema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    definitions: JsonSchema = {}
    for name, parameter in executor.input_parameters.items():
        own, parts = _type_schema(parameter.annotation)
        definitions |= parts
        if parameter.kind is parameter.VAR_KEYWORD:
            schema["additionalProperties"] = own or True
            continue
        schema["properties"][name] = own | _default(parameter)
        if parameter.default is parameter.empty:
            schema["required"].append(name)
    return _with_definitions(schema, definitions)


def _type_schema(annotation: Any) -> tuple[JsonSchema, JsonSchema]:
    if annotation is inspect.Parameter.empty:
        return {}, {}
    try:
        (schema,), definitions = msgspec.json.schema_components([annotation], schema_hook=_foreign, ref_template=DEFINITION)
    except TypeError:  # A type for which msgspec has no schema, such as a union of two classes.
        return {}, {}
    return schema, definitions


def _foreign(cls: type) -> JsonSchema:
    return {"type": "string"} if issubclass(cls, PurePath) else {"title": cls.__name__}


def _with_definitions(schema: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    return {**schema, "$defs": definitions} if definitions else schema


def _default(parameter: inspect.Parameter) -> JsonSchema:
    if parameter.default is parameter.empty:
        return {}
    try:
        return {"default": msgspec.to_builtins(parameter.default)}
    except TypeError:  # Not a JSON value; that there is a default shows in `required`.
        return {}


def _without_wait(annotation: Any) -> Any:
    members = get_args(annotation)
    if Wait not in members:
        return annotation
    return reduce(or_, [member for member in members if member is not Wait])


def _sample(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Json:
    """A value that fits a schema, as far as simple schemas go."""
    if "$ref" in schema:
        return _sample(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _sample(schema[key][0], definitions)
    return _sample_of_type(schema, definitions)


def _sample_of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Json:
    kind = schema.get("type", "string")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _sample(properties.get(name, {}), definitions) for name in schema.get("required", ())}
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items")]
        return [_sample(item, definitions) for item in items if isinstance(item, Mapping)]
    return schema.get("minimum", _SAMPLES.get(kind) if isinstance(kind, str) else None)
