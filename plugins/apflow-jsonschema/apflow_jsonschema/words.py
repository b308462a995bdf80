"""What a schema objects to, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen
from jsonschema.exceptions import ValidationError

from apflow_hookspecs.errors import shortened

_HIDDEN = "apflow: hidden"
"""Name of the mark that an error bears."""

SHOWN = 10
"""Choices and names that are listed in a rule."""

TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


class Hidden:
    """Stands for a value that is not shown."""

    def __repr__(self) -> str:
        return "…"


@frozen
class Misfit:
    """A place at which a value does not fit.

    Args:
        path: Names and indices that lead there; empty for the value itself.
        rule: What it breaks, as the end of a sentence.
        value: What stands there; hidden where its schema says `writeOnly`.
    """

    path: tuple[str | int, ...]
    rule: str
    value: Any

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer (RFC 6901)."""
        return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.path)


def is_write_only(schema: Any) -> bool:
    """Whether what a schema describes is not to be shown (JSON Schema, `writeOnly`)."""
    return isinstance(schema, dict) and schema.get("writeOnly") is True


def hide(error: ValidationError) -> None:
    """Have the value of an error not shown."""
    vars(error)[_HIDDEN] = True


def shown(value: Any, schema: Any) -> Any:
    """A value as it may be shown: hidden, or an object without what its `properties` hide."""
    if is_write_only(schema):
        return Hidden()
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value
    return {name: shown(item, properties.get(name)) for name, item in value.items()}


def misfits_of(error: ValidationError) -> Iterator[Misfit]:
    """An error of jsonschema's; one that is about names gives a misfit for each name."""
    path = tuple(error.path)
    value: Any = error.instance
    seen: Any = Hidden() if _HIDDEN in vars(error) else shown(value, error.schema)
    wanted: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "required" and isinstance(wanted, list):
        for name in wanted:
            if name not in value:
                yield Misfit((*path, name), "is missing", None)
    elif error.validator == "additionalProperties":
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        rule = f"must not be there; the names are {_listed(known) or 'none'}"
        for name in value:
            if name not in known and not any(re.search(pattern, name) for pattern in patterns):
                yield Misfit((*path, name), rule, seen if isinstance(seen, Hidden) else value[name])
    else:
        yield Misfit(path, _rule(error), seen)


def _rule(error: ValidationError) -> str:
    keyword: Any = error.validator
    if keyword is None:
        return "must not be there"
    words = _WORDS.get(keyword)
    return words(error) if words is not None else f"must fit `{keyword}` of its schema"


def _type(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    return f"must be {' or '.join(TYPES.get(name, str(name)) for name in (wanted if isinstance(wanted, list) else [wanted]))}"


def _choices(error: ValidationError) -> str:
    return f"must be one of {_listed(error.validator_value)}"


def _alternatives(error: ValidationError) -> str:
    """The first objection of each alternative, where these are few and about the value itself."""
    first: dict[Any, ValidationError] = {}
    for inner in error.context or ():
        first.setdefault(inner.schema_path[0], inner)
    if 0 < len(first) <= 3 and not any(inner.path or inner.context for inner in first.values()):  # noqa: PLR2004 - few
        return ", or ".join(dict.fromkeys(misfit.rule for inner in first.values() for misfit in misfits_of(inner)))
    wanted: Any = error.validator_value
    return f"must fit {'exactly ' if error.validator == 'oneOf' else ''}one of {len(wanted)} alternatives"


def _listed(values: Any) -> str:
    shown = ", ".join(shortened(value) for value in list(values)[:SHOWN])
    return f"{shown} and {len(values) - SHOWN} more" if len(values) > SHOWN else shown


def _number(words: str) -> Callable[[ValidationError], str]:
    return lambda error: words.format(error.validator_value)


_WORDS: dict[str, Callable[[ValidationError], str]] = {
    "anyOf": _alternatives,
    "const": lambda error: f"must be {shortened(error.validator_value)}",
    "contains": lambda _: "must hold an item that fits `contains`",
    "enum": _choices,
    "exclusiveMaximum": _number("must be below {}"),
    "exclusiveMinimum": _number("must be above {}"),
    "format": _number("must be of the format {!r}"),
    "maxItems": _number("must have at most {} items"),
    "maxLength": _number("must have at most {} characters"),
    "maxProperties": _number("must have at most {} names"),
    "maximum": _number("must be at most {}"),
    "minItems": _number("must have at least {} items"),
    "minLength": _number("must have at least {} characters"),
    "minProperties": _number("must have at least {} names"),
    "minimum": _number("must be at least {}"),
    "multipleOf": _number("must be a multiple of {}"),
    "not": lambda _: "must not fit `not` of its schema",
    "oneOf": _alternatives,
    "pattern": _number("must match {!r}"),
    "type": _type,
    "uniqueItems": lambda _: "must not hold an item twice",
}
