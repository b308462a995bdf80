"""The schemas of all operations in one place, each part once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

JsonSchema = dict[str, Any]

_OWN, _SHARED = "#/$defs/", "#/components/schemas/"


@define
class Components:
    """Parts of schemas, by name, as OpenAPI and OpenRPC keep them; the same part of two schemas is kept once.

    Attributes:
        schemas: By name.
    """

    schemas: dict[str, JsonSchema] = field(factory=dict)
    _told: dict[str, tuple[JsonSchema, ...]] = field(factory=dict)

    def shared(self, schema: Mapping[str, Any]) -> JsonSchema:
        """A schema that refers to the shared parts, in place of its own `$defs`."""
        parts: JsonSchema = dict(schema.get("$defs", {}))
        names = {name: self._place(name, parts) for name in parts}
        for name, shared in names.items():
            self.schemas[shared] = _renamed(parts[name], names)
        own: JsonSchema = _renamed({key: value for key, value in schema.items() if key != "$defs"}, names)
        return own

    def add(self, name: str, schema: JsonSchema) -> JsonSchema:
        """Keep a schema of ours, whose references are to shared parts already; the reference to it."""
        self.schemas[name] = schema
        return reference(name)

    def _place(self, name: str, parts: JsonSchema) -> str:
        """The name under which a part is shared: another one, where its own is taken by a different part."""
        meaning = tuple(parts[other] for other in sorted(_reached(name, parts)))
        number, free = 1, name
        while self._told.setdefault(free, meaning) != meaning:
            number += 1
            free = f"{name}_{number}"
        return free


def reference(name: str) -> JsonSchema:
    """A reference to a shared part."""
    return {"$ref": _SHARED + name}


def _reached(name: str, parts: JsonSchema) -> set[str]:
    """A part, and those to which it refers, directly or through others."""
    reached, open_ = {name}, [name]
    while open_:
        found = _references(parts[open_.pop()]) - reached
        reached |= found
        open_ += found
    return reached


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("$ref")
    found = {own.removeprefix(_OWN)} if isinstance(own, str) and own.startswith(_OWN) else set()
    return found.union(*map(_references, schema.values()))


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    own = schema.get("$ref")
    if isinstance(own, str) and own.startswith(_OWN):
        return {**schema, **reference(names[own.removeprefix(_OWN)])}
    return {key: _renamed(value, names) for key, value in schema.items()}
