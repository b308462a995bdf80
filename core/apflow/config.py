"""The configuration: defaults, then `apflow.toml`, then `APFLOW_*`, then options; the later wins.

This is the only module that reads the environment. A key of a table is `APFLOW_TABLE__KEY` there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from attrs import asdict, evolve, field, fields, fields_dict, frozen
from attrs.converters import optional

from apflow import rules
from apflow.plugins import installed, normalised
from apflow.rules import EnvText, Misfit, PluginChoice
from apflow.sources import PREFIX, Entry, from_environment, from_file, from_options, masked, merged, source_of, trouble
from apflow_hookspecs import EMPTY, Problem
from apflow_hookspecs.errors import ConfigError

C = TypeVar("C")

FILE = "apflow.toml"


def _default_db() -> str:
    from platformdirs import user_data_path  # noqa: PLC0415 - wanted only where nothing else is said

    return rules.storage_url(user_data_path("apflow", appauthor=False) / "apflow.db")


@frozen(kw_only=True)
class Settings:
    """What the host can be told, checked; made by `load_settings`, or by hand with the fields as keywords.

    Raises:
        Misfit: A value breaks its field's rule (a `ValueError`).
    """

    db: str = field(factory=_default_db, converter=rules.storage_url)
    """URL of the storage, or the path of a SQLite file; by default `apflow.db` in the user's folder for data."""
    durability: str = field(default="full", converter=rules.durability)
    """What a stored result survives: `full` is loss of power, `process` the end of the process."""
    max_concurrency: int = field(default=32, converter=rules.count)
    """Attempts that run at once, in the whole process."""
    limits: Mapping[str, int] = field(default=EMPTY, converter=rules.limits)
    """Attempts that run at once, by executor id."""
    timeout: float = field(default=3600.0, converter=rules.duration)
    """Seconds that one attempt may take, where its task says nothing."""
    cancel_grace: float = field(default=5.0, converter=rules.duration_or_none)
    """Seconds that a cancelled executor has to clean up before it is abandoned."""
    drain_timeout: float = field(default=30.0, converter=rules.duration_or_none)
    """Seconds that running attempts have to end when the engine closes."""
    hook_timeout: float = field(default=5.0, converter=rules.duration)
    """Seconds that a plugin's asynchronous gate or observer may take."""
    max_recoveries: int = field(default=5, converter=rules.count_or_none)
    """How often a task is started again because its process was gone."""
    max_result_bytes: int = field(default=1024 * 1024, converter=rules.count)
    """Size of one result as JSON, in bytes."""
    max_depth: int = field(default=64, converter=rules.count)
    """Levels of nesting in a JSON value."""
    max_tasks_per_tree: int = field(default=20_000, converter=rules.count)
    """Tasks in one tree; binds remote callers only."""
    max_wait: float = field(default=300.0, converter=rules.duration)
    """Seconds that one request may wait for the end of a tree; binds remote callers only."""
    max_abandoned: int = field(default=50, converter=rules.count)
    """Attempts that did not end when they were told to, with which the engine still counts as well."""
    max_open_tasks: int = field(default=100_000, converter=rules.count)
    """Tasks that have not settled; binds remote callers only."""
    policies: Mapping[str, Any] = field(default=EMPTY, converter=rules.policies)
    """Options by policy, for the tasks that do not name the policy: `{"retry": {"max_attempts": 3}}`."""
    executor_policies: Mapping[str, Any] = field(default=EMPTY, converter=rules.executor_policies)
    """The same by executor id, before `policies`: `{"fetch": {"retry": {"max_attempts": 5}}}`."""
    url: str | None = field(default=None, converter=optional(rules.server_url))
    """URL of the server that does what commands ask for, in place of this machine."""
    token: str | None = field(default=None, converter=optional(rules.token), repr=False)
    """The credential that is shown to it; best in the environment (`APFLOW_TOKEN`)."""
    log_level: str = field(default="warning", converter=rules.log_level)
    """From where on the program shows what is logged: `debug`, `info`, `warning`, `error`."""
    log_format: str = field(default="text", converter=rules.log_format)
    """How the program shows what is logged: `text` for people, `json` for machines, a line each."""
    plugins: PluginChoice = field(factory=PluginChoice, converter=rules.plugin_choice)
    """Which plugins may be imported."""
    sections: Mapping[str, Mapping[str, Any]] = field(default=EMPTY, repr=False)
    """The tables of plugins, as read, by the plugin's name in lower case with `-`."""
    sources: Mapping[str, str] = field(default=EMPTY, repr=False, eq=False)
    """Where each value that is not a default came from, by key with dots into tables."""
    warnings: tuple[str, ...] = field(default=(), repr=False, eq=False)
    """What was read and does not count."""

    def table(self, name: str) -> dict[str, Any]:
        """A plugin's table as plain values; empty where there is none."""
        return dict(rules.plain(self.sections.get(normalised(name), EMPTY)))

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's table, structured into its attrs class.

        Raises:
            ConfigError: It does not fit; the message names the key, the value, the rule and where it came from.
        """
        if normalised(name) not in self.sections and hasattr(cls, "__attrs_attrs__"):
            with suppress(TypeError):  # it has fields without a default, and the error shall name them
                return cls()
        from apflow.sections import structured  # noqa: PLC0415 - loads cattrs

        return structured(normalised(name), self.sections.get(normalised(name), EMPTY), cls, self.sources)

    def lines(self) -> Iterator[ConfigLine]:
        """Every value with where it came from, secrets masked: `apflow config show`."""
        for name in NAMES:
            value = getattr(self, name)
            yield from self._lines((name,), asdict(value) if isinstance(value, PluginChoice) else value)
        for name in self.sections:
            yield from self._lines((name,), self.table(name))

    def _lines(self, path: tuple[str, ...], value: Any) -> Iterator[ConfigLine]:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from self._lines((*path, key), inner)
        else:
            shown = dict(value) if isinstance(value, Mapping) else value
            yield ConfigLine(".".join(path), masked(path, shown), source_of(self.sources, path))


@frozen
class ConfigLine:
    """One value of the configuration, for people.

    Args:
        key: With dots into tables.
        value: A JSON value; `***` stands for a secret.
        source: `default`, the file, the variable, or `option`.
    """

    key: str
    value: Any
    source: str


NAMES = tuple(name for name in fields_dict(Settings) if name not in {"sections", "sources", "warnings"})
"""The settings of the host itself."""


def load_settings(
    file: str | PathLike[str] | None = None,
    env: Mapping[str, str] = os.environ,
    options: Mapping[str, Any] = EMPTY,
    plugins: Iterable[str] | None = None,
) -> Settings:
    """Read and merge the configuration.

    Args:
        file: The file to read. By default `APFLOW_CONFIG`, else `apflow.toml` in the working directory, else the one in the
            user's folder for configuration: the first that there is, and no other.
        env: The environment.
        options: What goes before all of it: settings by name, and tables of plugins; None is not given.
        plugins: Names of the plugins whose tables are known; by default the installed ones.

    Raises:
        ConfigError: Something does not fit; `problems` has all of it.
    """
    path = _file(file, env)
    entries = [*(from_file(path) if path else ()), *from_environment(env), *from_options(options)]
    if all(entry.path[0] in NAMES for entry in entries):
        return _checked(entries, [], [])
    tables = _table_names(plugins)
    placed = [_placed(entry, tables) for entry in entries]
    strangers = [entry for entry in placed if entry.path[0] not in (*NAMES, *tables)]
    return _checked([entry for entry in placed if entry not in strangers], strangers, tables)


def _file(file: str | PathLike[str] | None, env: Mapping[str, str]) -> Path | None:
    named = file or env.get(f"{PREFIX}CONFIG")
    if named:
        return Path(named)
    if Path(FILE).is_file():
        return Path(FILE)
    from platformdirs import user_config_path  # noqa: PLC0415 - a moment of start-up, and often not wanted

    usual = user_config_path("apflow", appauthor=False) / FILE
    return usual if usual.is_file() else None


def _table_names(plugins: Iterable[str] | None) -> list[str]:
    return sorted({normalised(name) for name in (plugins if plugins is not None else (found.name for found in installed()))})


def _placed(entry: Entry, tables: list[str]) -> Entry:
    """An entry of a plugin's table under the one spelling of the plugin's name."""
    name = normalised(entry.path[0])
    return evolve(entry, path=(name, *entry.path[1:])) if entry.path[0] not in NAMES and name in tables else entry


def _checked(entries: list[Entry], strangers: list[Entry], tables: list[str]) -> Settings:
    values, sources = merged(entries)
    problems = [_unknown(entry, tables) for entry in strangers if not isinstance(entry.value, EnvText)]
    settings: dict[str, Any] = {}
    for name in filter(values.__contains__, NAMES):
        try:
            settings[name] = getattr(fields(Settings), name).converter(values[name])
        except Misfit as misfit:
            problems.append(trouble(misfit.rule, (name, *misfit.path), misfit.value, sources))
    sections = _sections(values, tables)
    no_tables = {name: value for name, value in sections.items() if not isinstance(value, Mapping)}
    problems += [trouble("must be a table", (name,), value, sources) for name, value in no_tables.items()]
    if problems:
        raise ConfigError(problems=tuple(problems))
    ignored = tuple(_ignored(entry, tables) for entry in strangers)
    return Settings(**settings, sections=sections, sources=sources, warnings=ignored)


def _sections(values: Mapping[str, Any], tables: list[str]) -> dict[str, Any]:
    read = {name: values[name] for name in tables if name in values}
    return {name: rules.plain(value) if isinstance(value, EnvText) else value for name, value in read.items()}


def _unknown(entry: Entry, tables: list[str]) -> Problem:
    nearest = get_close_matches(entry.path[0], [*NAMES, *tables], n=1)
    neither = "there is neither such a setting nor an installed plugin of this name"
    advice = f"did you mean {nearest[0]}?" if nearest else neither
    return trouble(f"is unknown; {advice}", entry.path, entry.value, {".".join(entry.path): entry.source})


def _ignored(entry: Entry, tables: list[str]) -> str:
    nearest = get_close_matches(entry.path[0], [*NAMES, *tables], n=1)
    advice = f"; did you mean {PREFIX}{nearest[0].upper().replace('-', '_')}?" if nearest else ""
    return f"the variable {entry.source} is ignored: it is no setting, nor a key of an installed plugin{advice}"
