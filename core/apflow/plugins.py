"""What is installed: the plugins, which of them may be imported, and what became of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import define, field, frozen

from apflow_hookspecs import PROJECT

OURS = "apflow"
"""The host's own distribution, whose built-in plugins an allow-list need not name."""


class PluginState(StrEnum):
    """What became of a plugin."""

    ON = "on"
    BLOCKED = "blocked"
    NOT_ALLOWED = "not allowed"
    OFF = "off"
    """It is broken."""
    NOT_LOADED = "not loaded"
    """It may be imported, and has not been."""


@frozen
class PluginInfo:
    """A plugin, for people.

    Args:
        name: Of its entry point.
        state: What became of it.
        reason: Why it is not on, or what is wrong although it is; one line.
        distribution: Name of the distribution that brought it; None for an object that was handed over.
        version: Of the distribution.
        target: What the entry point names, `module` or `module:attribute`.
        location: The module's file, once imported; before that the folder in which it is installed.
        hooks: The hooks that it implements, in alphabetical order.
        failures: How often its `apflow_event` failed.
    """

    name: str
    state: PluginState
    reason: str | None = None
    distribution: str | None = None
    version: str | None = None
    target: str | None = None
    location: str | None = None
    hooks: tuple[str, ...] = ()
    failures: int = 0

    @property
    def label(self) -> str:
        """How an error names it: `hello (apflow-hello 1.0)`."""
        return self.name if self.distribution is None else f"{self.name} ({self.distribution} {self.version})"


@define(eq=False)
class Plugin:
    """A plugin, as the host keeps it."""

    name: str
    entry_point: EntryPoint | None = None
    state: PluginState = PluginState.NOT_LOADED
    reason: str | None = None
    implementation: Any = None
    """The module or object that implements the hooks, once imported."""
    hooks: tuple[str, ...] = ()
    provided: dict[str, dict[str, Any]] = field(factory=dict)
    """What it provides, by kind and key."""

    @property
    def distribution(self) -> str | None:
        """Name of the distribution that brought it."""
        dist = self.entry_point.dist if self.entry_point else None
        return dist.name if dist else None

    @property
    def info(self) -> PluginInfo:
        """The plugin as it stands."""
        dist = self.entry_point.dist if self.entry_point else None
        return PluginInfo(
            name=self.name,
            state=self.state,
            reason=self.reason,
            distribution=dist.name if dist else None,
            version=dist.version if dist else None,
            target=self.entry_point.value if self.entry_point else None,
            location=getattr(self.implementation, "__file__", None) or (str(dist.locate_file("")) if dist else None),
            hooks=self.hooks,
        )

    def matches(self, names: Iterable[str]) -> str | None:
        """The first of the names that means this plugin: its own or its distribution's, however it is spelt."""
        mine = {normalised(self.name), normalised(self.distribution or self.name)}
        return next((name for name in names if normalised(name) in mine), None)


def normalised(name: str) -> str:
    """A name in the one spelling in which names are compared (packaging.python.org, "Name normalization")."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def installed(allow: Iterable[str] = (), block: Iterable[str] = (), found: Iterable[EntryPoint] | None = None) -> list[Plugin]:
    """The installed plugins, in the order of their names, from their metadata alone: nothing is imported.

    Args:
        allow: Names of plugins or distributions; when there are any, others are not allowed, save the host's own.
        block: Names likewise; wins over `allow`.
        found: The entry points to take instead of those of this environment.
    """
    points = entry_points(group=PROJECT) if found is None else found
    plugins = sorted(
        (Plugin(point.name, point) for point in points), key=lambda plugin: (plugin.name, plugin.distribution or "")
    )
    allow, block = tuple(allow), tuple(block)
    for plugin in plugins:
        _choose(plugin, allow, block)
    return plugins


def handed_over(plugins: Mapping[str, object]) -> list[Plugin]:
    """Plugins that were not installed but given, in the order of their names."""
    return [Plugin(name, implementation=plugins[name]) for name in sorted(plugins)]


def _choose(plugin: Plugin, allow: tuple[str, ...], block: tuple[str, ...]) -> None:
    blocked_by = plugin.matches(block)
    if blocked_by is not None:
        plugin.state, plugin.reason = PluginState.BLOCKED, f"plugins.block names {blocked_by!r}"
    elif allow and plugin.matches(allow) is None and normalised(plugin.distribution or "") != OURS:
        plugin.state, plugin.reason = PluginState.NOT_ALLOWED, f"plugins.allow does not name it, only {', '.join(allow)}"
