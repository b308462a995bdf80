"""References: `{"$from": "fetch", "path": "/body/title"}` in a task's inputs stands for another task's result.

`{"$secret": "name"}`, also in params, stands for a value that nobody stores. Both are looked for in what the author wrote,
never in a value that was put in for one. `{"$literal": x}` stands for `x` as it is, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from apflow_hookspecs import Json

FROM, PATH, LITERAL, SECRET = "$from", "path", "$literal", "$secret"
KEYS = frozenset({FROM, LITERAL, SECRET})
"""What marks an object that stands for something else."""
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


@frozen
class SecretReference:
    """A secret that is named in a task's inputs or params.

    Args:
        path: The names and places that lead to it.
        written: The object that names it.
        name: As it stands there.
        rule: What is wrong with the way it is written; None where nothing is.
    """

    path: tuple[str | int, ...]
    written: Mapping[str, Any]
    name: Any
    rule: str | None = None

    def __str__(self) -> str:
        """Where it stands, as `.headers.Authorization`."""
        return "".join(f".{step}" for step in self.path)


def find_secrets(given: Mapping[str, Any]) -> Iterator[SecretReference]:
    """The secrets that a task's inputs or params name, which are checked JSON."""
    if SECRET in given:
        yield SecretReference((), given, given[SECRET], "inputs and params are given by name; put the secret under one")
        return
    open_values: list[tuple[tuple[str | int, ...], Any]] = [
        ((name,), value) for name, value in given.items() if isinstance(value, CONTAINERS)
    ]
    while open_values:
        path, value = open_values.pop()
        if isinstance(value, list):
            open_values.extend(((*path, place), item) for place, item in enumerate(value) if isinstance(item, CONTAINERS))
        elif SECRET in value:
            yield _read_secret(path, value)
        elif FROM not in value and value.keys() != {LITERAL}:
            open_values.extend(((*path, name), item) for name, item in value.items() if isinstance(item, CONTAINERS))


def _read_secret(path: tuple[str | int, ...], value: dict[str, Any]) -> SecretReference:
    name = value[SECRET]
    rule = None
    if len(value) > 1:
        rule = 'a secret is named by "$secret" and nothing else; {"$literal": …} stands for itself'
    elif not isinstance(name, str) or not name:
        rule = '"$secret" must be a name'
    return SecretReference(path, value, name, rule)


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
