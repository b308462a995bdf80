"""Schemas in words, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = {"string": "text", "boolean": "true or false", "null": "null", "integer": "integer", "number": "number"}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
}


def in_words(schema: Mapping[str, Any]) -> str:
    """What a schema takes: `array of text or null`; a part is told by its name."""
    return " or ".join(dict.fromkeys(_kinds(schema)))


def default_of(schema: Mapping[str, Any]) -> str | None:
    """The default as JSON; None where there is none that says anything."""
    return None if schema.get("default") is None else json.dumps(schema["default"])


def described(schema: Mapping[str, Any]) -> str:
    """The description of a parameter, also where it stands within a choice."""
    found = [schema, *schema.get("anyOf", ())]
    text: str = next((part["description"] for part in found if "description" in part), "")
    return text


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2]
    elif "enum" in schema:
        yield " | ".join(json.dumps(choice) for choice in schema["enum"])
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from _kinds(choice)
    else:
        bounds = [words.format(schema[name]) for name, words in _BOUNDS.items() if name in schema]
        yield ", ".join([_kind(schema), *bounds])


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"array of {in_words(schema['items'])}" if schema.get("items") else "array"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {in_words(values)}" if isinstance(values, Mapping) and values else "object"
    if schema.get("format") == "date-time":
        return "instant (RFC 3339)"
    return _TYPES.get(kind or "", "anything")
