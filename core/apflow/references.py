"""References: `{"$from": "fetch", "path": "/body/title"}` in a task's inputs stands for another task's result.

They are looked for in what the author wrote, never in a value that was put in for one. `{"$literal": x}` stands for `x` as it
is, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from apflow_hookspecs import Json

FROM, PATH, LITERAL = "$from", "path", "$literal"
CONTAINERS = (dict, list)
"""What a reference can be, or stand in, in checked JSON."""
INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


@frozen
class Reference:
    """One reference in a task's inputs.

    Args:
        field: Where it stands, as `inputs.a.0.b`.
        written: The object that is the reference.
        key: The task that is referred to, as it stands there.
        path: JSON Pointer (RFC 6901) into its result.
        rule: What is wrong with the way it is written; None where nothing is.
    """

    field: str
    written: dict[str, Any]
    key: Any
    path: Any = ""
    rule: str | None = None


def find(inputs: Mapping[str, Any]) -> Iterator[Reference]:
    """The references in a task's inputs, which are checked JSON."""
    if FROM in inputs or (LITERAL in inputs and len(inputs) == 1):
        yield Reference("inputs", dict(inputs), inputs.get(FROM), rule="inputs are given by name; put the reference under one")
        return
    open_values = [(f"inputs.{name}", value) for name, value in inputs.items() if isinstance(value, CONTAINERS)]
    while open_values:
        field, value = open_values.pop()
        if isinstance(value, list):
            open_values.extend((f"{field}.{index}", item) for index, item in enumerate(value))
        elif isinstance(value, dict):
            if FROM in value:
                yield _read(field, value)
            elif value.keys() != {LITERAL}:
                open_values.extend((f"{field}.{name}", item) for name, item in value.items())


def _read(field: str, value: dict[str, Any]) -> Reference:
    key, path = value[FROM], value.get(PATH, "")
    rule = None
    if not value.keys() <= {FROM, PATH}:
        rule = 'a reference holds "$from" and "path" and nothing else; {"$literal": …} stands for itself'
    elif not isinstance(key, str):
        rule = '"$from" must name a task'
    elif not isinstance(path, str) or (path and not path.startswith("/")):
        rule = '"path" must be empty or a JSON Pointer that begins with "/"'
    return Reference(field, value, key, path, rule)


def resolve(value: Any, look_up: Callable[[str, str], Json]) -> Any:
    """A copy of checked inputs with every reference replaced by `look_up(key, path)`. Their depth is bounded; so is this."""
    if isinstance(value, list):
        return [resolve(item, look_up) for item in value]
    if not isinstance(value, dict):
        return value
    if FROM in value:
        return look_up(value[FROM], value.get(PATH, ""))
    if LITERAL in value and len(value) == 1:
        return value[LITERAL]
    return {name: resolve(item, look_up) if isinstance(item, CONTAINERS) else item for name, item in value.items()}


def point(value: Json, path: str) -> Json:
    """The part of a value at a JSON Pointer (RFC 6901).

    Raises:
        LookupError: There is no such part; the message names the step that led nowhere.
    """
    walked = ""
    for step in path.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise LookupError(f"{walked or 'the result'} has no {name!r}")
        walked += f"/{step}"
    return value
