"""Where the configuration comes from: a file, the environment, options; read into entries, and merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from apflow.rules import EnvText
from apflow_hookspecs import Problem
from apflow_hookspecs.errors import ConfigError

PREFIX = "APFLOW_"
OPTION = "option"
DEFAULT = "default"

_LISTS = {"plugins": ("plugins", "allow"), "block": ("plugins", "block")}
"""The two variables that are not named as their keys."""

_SECRET = re.compile(r"token|secret|passw|key|credential", re.IGNORECASE)
_URL_SECRET = re.compile(
    r"(?<=://)([^/?#@\s]*):[^/?#@\s]+@|(?<=[?&])([^=&]*(?:token|secret|passw|key)[^=&]*)=[^&]+", re.IGNORECASE
)


@frozen
class Entry:
    """One value that was read.

    Args:
        path: The keys that lead to it.
        value: A text of the environment is an `EnvText`.
        source: The file, the variable or `option`.
    """

    path: tuple[str, ...]
    value: Any
    source: str


def from_file(path: Path) -> list[Entry]:
    """The entries of a TOML file.

    Raises:
        ConfigError: It cannot be read.
    """
    import tomllib  # noqa: PLC0415 - most starts read no TOML

    try:
        with path.open("rb") as file:
            return list(_leaves(tomllib.load(file), str(path)))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the configuration {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def from_environment(env: Mapping[str, str]) -> list[Entry]:
    """The entries of the variables `APFLOW_*`; empty ones do not count."""
    entries = []
    for name in sorted(env):
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG" and env[name]:
            key = name.removeprefix(PREFIX).lower()
            entries.append(Entry(_LISTS.get(key, tuple(key.split("__"))), EnvText(env[name]), name))
    return entries


def from_options(options: Mapping[str, Any]) -> list[Entry]:
    """The entries of keywords; None is not given."""
    return [entry for entry in _leaves(options, OPTION) if entry.value is not None]


def merged(entries: Iterable[Entry]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values as nested tables, a later entry before an earlier one; and the source of each by its key with dots."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for entry in entries:
        table = values
        for key in entry.path[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[entry.path[-1]] = entry.value
        sources[".".join(entry.path)] = entry.source
    return values, sources


def source_of(sources: Mapping[str, str], path: tuple[str, ...]) -> str:
    """Where the value at a path came from: its own source, else that of what holds it, else of what it holds."""
    for length in range(len(path), 0, -1):
        if (source := sources.get(".".join(path[:length]))) is not None:
            return source
    within = ".".join(path) + "."
    return next((source for key, source in sources.items() if key.startswith(within)), DEFAULT)


def masked(path: tuple[str, ...], value: Any) -> Any:
    """A value as it may be shown: not at all under a key that speaks of a secret, and without a URL's password."""
    if isinstance(value, str | Mapping | list | tuple) and value and any(_SECRET.search(key) for key in path):
        return "***"
    if isinstance(value, str):
        return _URL_SECRET.sub(lambda found: f"{found[1]}:***@" if found[2] is None else f"{found[2]}=***", value)
    if isinstance(value, Mapping):
        return {key: masked((*path, key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(path, inner) for inner in value]
    return value


def trouble(rule: str, path: tuple[str, ...], value: Any, sources: Mapping[str, str]) -> Problem:
    """What is wrong with a value, with its key, the rule and where it came from."""
    source = source_of(sources, path)
    told = rule if source == DEFAULT else f"{rule} (from {source})"
    return Problem(told, field=".".join(path), value=masked(path, value))


def _leaves(table: Mapping[str, Any], source: str, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, source, (*path, key))
        else:
            yield Entry((*path, key), value, source)
