"""A plugin's table of the configuration, structured into its attrs class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from attrs import fields, has, resolve_types

from apflow.rules import EnvText, plain
from apflow.sources import trouble
from apflow.structuring import DoesNotFit, Misfit, structure
from apflow_hookspecs.errors import ConfigError

C = TypeVar("C")


def structured(name: str, table: Mapping[str, Any], cls: type[C], sources: Mapping[str, str]) -> C:
    """An instance of a plugin's attrs class, from its table.

    Raises:
        ConfigError: Keys are unknown or missing, or values do not fit; `problems` has all of it.
    """
    known = _types(cls)
    problems = [trouble(_unknown(key, known), (name, key), table[key], sources) for key in table if key not in known]
    try:
        made = structure({key: _read(table[key], known[key]) for key in table if key in known}, cls)
    except DoesNotFit as error:
        problems += [trouble(misfit.rule, (name, *_path(misfit)), misfit.value, sources) for misfit in error.misfits]
        raise ConfigError(problems=tuple(problems)) from error
    if problems:
        raise ConfigError(problems=tuple(problems))
    return made


def _types(cls: type) -> dict[str, Any]:
    if not has(cls):
        raise TypeError(f"a section is structured into an attrs class, and {cls!r} is none")
    return {attribute.name: attribute.type for attribute in fields(resolve_types(cls)) if attribute.init}


def _path(misfit: Misfit) -> tuple[str, ...]:
    return tuple(filter(None, misfit.path.split(".")))


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    nearest = get_close_matches(key, known, n=1)
    return f"is unknown; did you mean {nearest[0]}?" if nearest else f"is unknown; there is {', '.join(known) or 'none'}"


def _read(value: Any, expected: Any) -> Any:
    if not isinstance(value, EnvText):
        return plain(value)
    if _is_list(expected):
        read = plain(value)
        inner = next(iter(get_args(expected)), str)
        return read if isinstance(read, list) else [_read(EnvText(part.strip()), inner) for part in value.split(",")]
    choices = (expected, *get_args(expected))
    return str(value) if any(choice in (str, Path) or isinstance(choice, str) for choice in choices) else plain(value)


def _is_list(expected: Any) -> bool:
    kind = get_origin(expected) or expected
    return isinstance(kind, type) and issubclass(kind, Sequence | AbstractSet) and not issubclass(kind, str | bytes)
