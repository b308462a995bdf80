"""JSON at the border: what an author or an executor hands over is checked and copied before anything else sees it.

msgspec encodes what passed here. By itself it would write NaN as null, bytes as base64 and sets as lists; a value that had to
be bent in order to be stored is refused here instead, with the path to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

import msgspec

from apflow_hookspecs import Json

MAX_DEPTH = 64
MAX_PARTS = 10_000_000
"""How many entries a value may have, in all: one that holds the same part again and again can be larger than it looks."""
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_CONTAINERS = (dict, list, tuple)

encode = msgspec.json.Encoder().encode
"""A value that passed `checked`, as UTF-8 bytes."""

decode = msgspec.json.Decoder().decode
"""JSON bytes as a value; integers of 64 bits stay exact."""


def copied(value: Json) -> Json:
    """A copy of a value that passed `checked`."""
    return None if value is None else decode(encode(value))


class BadValue(ValueError):
    """A value is not JSON.

    Args:
        path: JSON Pointer (RFC 6901) to the culprit; empty for the value itself.
        rule: What it breaks.
    """

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"at {path or 'the top'}: {rule}")
        self.path = path
        self.rule = rule


_Open = tuple[Any, Any, Any, "_Place", int]
_Place = Any  # (place of the container, key in it), or None for the top; a path is only spelt when it is needed


def checked(value: Any, max_depth: int = MAX_DEPTH) -> Json:
    """A copy of a JSON value, tuples as lists; O(size), without recursion.

    Raises:
        BadValue: Something in it is not JSON, is a number that JSON or 64 bits cannot hold, is text with NUL or a lone
            surrogate, lies deeper than `max_depth`, or is part of a value of more than ten million parts.
    """
    if value is None or value is True or value is False:
        return value
    if not isinstance(value, dict | list | tuple):
        return _scalar(value, None)
    top: list[Any] = [None]
    # Containers still to be copied: (source, where its copy goes, key there, place, depth). Last in, first out, so that a
    # value which contains itself runs into the depth limit before it grows.
    open_containers: list[_Open] = [(value, top, 0, None, 1)]
    parts = 0
    while open_containers:
        source, target, key, place, depth = open_containers.pop()
        parts += len(source)
        if parts > MAX_PARTS:
            raise BadValue("", f"must not have more than {MAX_PARTS:,} parts")
        if depth > max_depth:
            raise _too_deep(place, value, max_depth)
        target[key] = _copied(source, place, depth, open_containers)
    return top[0]


def _copied(source: Any, place: _Place, depth: int, open_containers: list[_Open]) -> Any:
    """A container with its scalars; the containers in it are left open, at their places."""
    copy: Any = {} if isinstance(source, dict) else [None] * len(source)
    items: Iterable[tuple[Any, Any]] = source.items() if isinstance(source, dict) else enumerate(source)
    for name, item in items:
        if copy.__class__ is dict:
            _check_name(name, place)
        if item is None or item is True or item is False:
            copy[name] = item
        elif isinstance(item, _CONTAINERS):
            copy[name] = None  # holds its place in the order
            open_containers.append((item, copy, name, (place, name), depth + 1))
        else:
            copy[name] = _scalar(item, (place, name))
    return copy


def _check_name(name: Any, place: _Place) -> None:
    if not isinstance(name, str):
        raise BadValue(_pointer(place), f"the name {name!r} must be text")
    if not name.isascii() or "\0" in name:
        text(name, (place, name))


def _scalar(value: Any, place: _Place) -> Json:
    if isinstance(value, str):
        return text(value, place)
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise BadValue(_pointer(place), "an integer must fit into 64 bits")
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise BadValue(_pointer(place), f"{value} is not a number that JSON has")
        return float(value)
    kind = type(value)
    raise BadValue(_pointer(place), f"must be JSON, and is of type {kind.__module__}.{kind.__qualname__}")


def text(value: str, place: _Place = None) -> str:
    """A text that can be stored.

    Raises:
        BadValue: It holds NUL or a lone surrogate.
    """
    plain = value if type(value) is str else str.__str__(value)
    if "\0" in plain:
        raise BadValue(_pointer(place), "text must not hold the character NUL")
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError:
            raise BadValue(_pointer(place), "text must not hold a lone surrogate") from None
    return plain


def _pointer(place: _Place) -> str:
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(str(name).replace("~", "~0").replace("/", "~1").encode(errors="backslashreplace").decode())
    return "".join(f"/{name}" for name in reversed(names))


def _too_deep(place: _Place, top: Any, max_depth: int) -> BadValue:
    """Whether the value is deep or holds itself: walk down to the culprit once more and look who is met twice."""
    names: list[Any] = []
    upwards = place
    while upwards is not None:
        upwards, name = upwards
        names.append(name)
    walked: _Place = None
    seen = {id(top)}
    for name in reversed(names):
        top, walked = top[name], (walked, name)
        if id(top) in seen:
            return BadValue(_pointer(walked), "a value must not contain itself")
        seen.add(id(top))
    return BadValue(_pointer(place), f"must not be deeper than {max_depth}")
