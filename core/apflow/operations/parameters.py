"""Parameters of an operation: from JSON into its attrs class, and the JSON Schema of that class.

Types are strict: `"3"` is not 3 and `true` is not 1. Everything that is wrong is reported together.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

import attrs
import msgspec

from apflow_hookspecs import Json, Problem
from apflow_hookspecs.errors import InvalidParams

_WORDS = {
    "array": "an array", "bool": "true or false", "datetime": "a date and time (RFC 3339)", "float": "a number",
    "int": "an integer", "object": "an object", "str": "text",
}  # fmt: skip
"""How a message calls the types that msgspec names."""

DEFINITION = "#/$defs/{name}"
"""How a derived schema refers to its parts."""


def structure(cls: type, params: Mapping[str, Json] | Sequence[Json]) -> Any:
    """Named or positional parameters as an instance of an attrs class; positions are the order of its fields.

    Raises:
        InvalidParams: They do not fit; its problems name each parameter, the value and the rule.
    """
    named = params if isinstance(params, Mapping) else _named(cls, params)
    if named.keys() <= _types(cls).keys():
        try:
            return msgspec.convert(named, cls)
        except msgspec.ValidationError:
            pass  # Only the first one is named; below, all are.
    raise InvalidParams(problems=tuple(_problems(cls, named)))


def schema(cls: type) -> dict[str, Any]:
    """The JSON Schema of an attrs class's parameters, as an object that holds no others."""
    (_,), definitions = msgspec.json.schema_components([cls], ref_template=DEFINITION)
    own = definitions.pop(cls.__name__)
    own.pop("title")
    return {**own, "additionalProperties": False, **({"$defs": definitions} if definitions else {})}


def result_schema(result: Any) -> dict[str, Any]:
    """The JSON Schema of the type of a result."""
    (own,), definitions = msgspec.json.schema_components([result], ref_template=DEFINITION)
    return {**own, **({"$defs": definitions} if definitions else {})}


def nearest(name: str, names: Sequence[str]) -> str:
    """The end of a sentence that suggests the right name for a wrong one: empty when none is near."""
    matches = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


@cache
def _types(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in attrs.fields(cls)}


def _named(cls: type, params: Sequence[Json]) -> dict[str, Json]:
    names = list(_types(cls))
    if isinstance(params, (str, bytes)):
        raise InvalidParams("parameters are an object of named ones or an array of positional ones")
    if len(params) > len(names):
        raise InvalidParams(f"{len(params)} positional parameters, and there are at most {len(names)}: {', '.join(names)}")
    return dict(zip(names, params, strict=False))


def _problems(cls: type, params: Mapping[str, Json]) -> Iterator[Problem]:
    types = _types(cls)
    for name, value in params.items():
        if name not in types:
            known = ", ".join(types) or "none"
            yield _problem(f"unknown parameter; known: {known}{nearest(name, list(types))}", name, value)
    for field in attrs.fields(cls):
        if field.name in params:
            yield from _misfit(field.name, params[field.name], types[field.name])
        elif field.default is attrs.NOTHING:
            yield Problem(f"parameter {field.name!r} is missing", code=InvalidParams.code)


def _misfit(name: str, value: Json, expected: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`")
        yield _problem(_rule(message, expected), name + path, _at(value, path))


def _rule(message: str, expected: Any) -> str:
    """What msgspec says, in the words of all other messages."""
    if message.startswith("Invalid enum value"):
        return f"must be one of {', '.join(dict.fromkeys(_choices(expected)))}"
    wanted = message.partition(", got ")[0].replace("Expected ", "must be ").replace(" | ", "` or `")
    return re.sub(r"`(\w+)`", lambda name: _WORDS.get(name[1], name[1]), wanted)


def _choices(expected: Any) -> list[str]:
    if isinstance(expected, type) and issubclass(expected, Enum):
        return [member.value for member in expected]
    return [choice for part in get_args(expected) for choice in _choices(part)]


def _at(value: Any, path: str) -> Any:
    for index in re.findall(r"\[(\d+)\]", path):
        value = value[int(index)]
    return value


def _problem(rule: str, field: str, value: Json) -> Problem:
    return Problem(rule, field=field, value=value, code=InvalidParams.code)
