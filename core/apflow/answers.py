"""Answers to waits: what fits the schema of one, and how a typed line becomes one.

A schema is JSON Schema, of draft 2020-12 where its `$schema` names no other. Nothing that it refers to is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from apflow_hookspecs import Json, Problem, Task, Wait
from apflow_hookspecs.errors import WrongAnswer, shortened

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

MOST_MISFITS = 20
YES_OR_NO = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
KINDS = {
    "string": "text",
    "boolean": "yes or no",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
RULES = {
    "const": "must be {}",
    "pattern": "must match {}",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "minLength": "must be {} characters long or longer",
    "maxLength": "must be {} characters long or shorter",
    "minItems": "must be a list of {} or more",
    "maxItems": "must be a list of {} or fewer",
}


def refuse_misfits(answer: Json, wait: Wait, task: Task) -> None:
    """Hold an answer to the schema of the wait.

    Raises:
        WrongAnswer: It does not fit; the problems name the places.
    """
    if wait.schema is None:
        return
    found = misfits(answer, wait.schema)
    if found:
        raise WrongAnswer(problems=tuple(Problem(rule, task.key, f"answer{path}", answer) for path, rule in found))


def misfits(answer: Json, schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where an answer does not fit, and the rule there: `[(".choice", "must be one of 'yes', 'no'")]`; the first 20."""
    try:
        return list(dict.fromkeys(islice(_misfits(answer, dict(schema)), MOST_MISFITS)))
    except RecursionError:
        why = "it refers to itself without end, or the answer is too deep for it"
    except Exception as error:  # noqa: BLE001 - a schema can be anything, and make jsonschema raise anything
        why = shortened(str(error))
    return [("", f"cannot be held to the schema of the wait: {why}")]


def unusable(schema: Mapping[str, Any]) -> str | None:
    """Why nothing can be held to a schema, as the end of a sentence; None where it can."""
    try:
        _dialect(dict(schema)).check_schema(dict(schema))
    except Exception as error:  # noqa: BLE001 - as above
        return f"cannot be used: {shortened(getattr(error, 'message', str(error)))}"
    foreign = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    return None if foreign is None else f"refers to {foreign!r}, and nothing outside of it is fetched"


def _references(schema: Any) -> Iterator[str]:
    open_values = [schema]
    while open_values:
        value = open_values.pop()
        if isinstance(value, Mapping):
            yield from (ref for name in ("$ref", "$dynamicRef") if isinstance(ref := value.get(name), str))
            open_values.extend(value.values())
        elif isinstance(value, list):
            open_values.extend(value)


def typed(line: str, schema: Mapping[str, Any] | None = None) -> Json:
    """The answer that a line stands for, typed where `schema` was asked for.

    Text is taken as it is where text is wanted, `yes` and `no` answer a boolean, and all else is JSON. What is neither stays
    text, which the schema then refuses in its own words.
    """
    schema = schema or {}
    if _wants_text(schema):
        return line
    word = line.strip().casefold()
    if schema.get("type") == "boolean" and word in YES_OR_NO:
        return YES_OR_NO[word]
    try:
        read = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return line
    return line if misfits(read, schema) and not misfits(line, schema) else read


def _wants_text(schema: Mapping[str, Any]) -> bool:
    choices = schema.get("enum")
    of_texts = isinstance(choices, list) and bool(choices) and all(isinstance(choice, str) for choice in choices)
    return of_texts or schema.get("type") == "string"


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is not a number that JSON has")


def _misfits(answer: Json, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    import referencing  # noqa: PLC0415 - heavy, and few trees wait for an answer

    cls = _dialect(schema)
    cls.check_schema(schema)
    for error in cls(schema, registry=referencing.Registry()).iter_errors(answer):
        yield "".join(f".{step}" for step in error.absolute_path), _rule(error)


def _dialect(schema: dict[str, Any]) -> type[Validator]:
    from jsonschema import validators  # noqa: PLC0415 - as above

    known = (validators.Draft202012Validator, validators.Draft201909Validator, validators.Draft7Validator)
    uri = schema.get("$schema", known[0].META_SCHEMA["$id"])
    for cls in known:
        if str(uri).rstrip("#") == cls.META_SCHEMA["$schema"].rstrip("#"):
            return cls
    raise ValueError(f"its $schema is {shortened(uri)}, which is not known here")


def _rule(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            return f"must be {' or '.join(KINDS.get(kind, kind) for kind in ([wanted] if isinstance(wanted, str) else wanted))}"
        case "enum":
            return f"must be one of {', '.join(map(shortened, wanted))}"
        case "required":
            return f"must hold {', '.join(repr(name) for name in wanted if name not in value)}"
        case str(keyword) if keyword in RULES:
            return RULES[keyword].format(shortened(wanted))
    return f"must fit: {error.message if len(error.message) <= 200 else shortened(error.message)}"  # noqa: PLR2004 - a line or two
