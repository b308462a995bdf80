"""How plugins come in: imported, checked against the hooks that exist, registered.

A plugin that fails on the way is switched off, with the reason in one line, and the others go on.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from time import monotonic
from typing import Any

from attrs import frozen
from pluggy import PluginManager

from apflow.plugins import Plugin, PluginState
from apflow_hookspecs import PROJECT, specs
from apflow_hookspecs.errors import ApflowError, ConfigError

_log = logging.getLogger(__name__)

FOREIGN = (Exception, SystemExit)
"""What a plugin's code may raise without taking the host down; only the user ends the process."""

COLLECTED = frozenset({"apflow_addhooks", "apflow_commands", "apflow_executors", "apflow_policies", "apflow_storages"})
"""The hooks that are called once, at start, and are plain functions."""

SLOW_IMPORT = 5.0
"""Seconds from which the import of a plugin is worth a warning."""


class Unfit(Exception):
    """The plugin cannot be used, as the message says."""


def load(plugins: Iterable[Plugin], *, strict: bool) -> PluginManager:
    """Import and register the plugins that may be, in the order given.

    Returns:
        A manager of its own, with the hooks of the contract and those that plugins added.

    Raises:
        ConfigError: A plugin is broken, and `strict` says that none may be.
    """
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(specs)
    waiting = [plugin for plugin in plugins if plugin.state is PluginState.NOT_LOADED]
    for step in (_import, _add_hooks, _register):
        for plugin in waiting:
            if plugin.state is PluginState.NOT_LOADED:
                _guarded(step, manager, plugin, strict=strict)
    return manager


def switch_off(manager: PluginManager, plugin: Plugin, reason: str, *, strict: bool) -> None:
    """Take a broken plugin out of the host, and say why.

    Raises:
        ConfigError: `strict` says that none may be broken.
    """
    if plugin.state is PluginState.ON and manager.has_plugin(plugin.name):
        manager.unregister(name=plugin.name)
    plugin.state, plugin.reason = PluginState.OFF, reason
    if strict:
        raise ConfigError(f"plugin {plugin.info.label} is broken, and plugins.strict is set: {reason}")
    _log.warning("plugin %s is off: %s", plugin.info.label, reason, extra={"plugin": plugin.name, "reason": reason})


def in_one_line(error: BaseException) -> str:
    """An error of a plugin's code, as a reason: its message, and its class where that says more."""
    try:
        message = " ".join(str(error).split())
    except Exception as broken:  # noqa: BLE001 - also its `__str__` is a plugin's code
        message = f"its message cannot be shown: {type(broken).__name__}"
    return message if isinstance(error, Unfit | ApflowError) else f"{type(error).__name__}: {message}".removesuffix(": ")


def _guarded(step: Callable[[PluginManager, Plugin], None], manager: PluginManager, plugin: Plugin, *, strict: bool) -> None:
    try:
        step(manager, plugin)
    except FOREIGN as error:
        switch_off(manager, plugin, in_one_line(error), strict=strict)


def _import(manager: PluginManager, plugin: Plugin) -> None:
    if plugin.entry_point is not None:
        started = monotonic()
        loaded = plugin.entry_point.load()
        plugin.implementation = loaded() if isinstance(loaded, type) else loaded
        seconds = monotonic() - started
        if seconds > SLOW_IMPORT:
            _log.warning("plugin %s took %.1f s to import", plugin.name, seconds, extra={"plugin": plugin.name})
    plugin.hooks = tuple(sorted({marked.hook for marked in _marked(manager, plugin.implementation)}))


def _add_hooks(manager: PluginManager, plugin: Plugin) -> None:
    for marked in _marked(manager, plugin.implementation):
        if marked.hook == "apflow_addhooks":
            marked.check(manager)
            marked.function(**{argument.name: manager for argument in marked.arguments if argument.name == "host"})


def _register(manager: PluginManager, plugin: Plugin) -> None:
    if manager.has_plugin(plugin.name):
        raise Unfit(f"another plugin is called {plugin.name!r}; block one of them by the name of its distribution")
    for name in _unmarked(manager, plugin.implementation):
        raise Unfit(f"{name} is not marked with @hookimpl")
    if not plugin.hooks:
        raise Unfit("it implements no hook; each is a function marked with @hookimpl")
    for marked in _marked(manager, plugin.implementation):
        marked.check(manager)
    plugin.state = PluginState.ON
    manager.register(plugin.implementation, plugin.name)


@frozen
class _Marked:
    """A function that bears `@hookimpl`."""

    hook: str
    function: Callable[..., Any]
    options: Any

    @property
    def arguments(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function).parameters.values())

    def check(self, manager: PluginManager) -> None:
        """Refuse what would be called wrongly, or never.

        Raises:
            Unfit: In words that say what to write instead.
        """
        caller = getattr(manager.hook, self.hook, None)
        if caller is None or caller.spec is None:
            if not self.options.get("optionalhook"):
                raise Unfit(_unknown_hook(self.hook, manager))
            return
        if self.options.get("wrapper") or self.options.get("hookwrapper"):
            raise Unfit(
                f"{self.hook} may not be a wrapper: it would not wrap what is awaited; what wraps an executor is a Policy"
            )
        if inspect.isasyncgenfunction(self.function):
            raise Unfit(f"{self.hook} may not be an async generator: return a list; what wraps an executor is a Policy")
        if self.hook in COLLECTED and inspect.iscoroutinefunction(self.function):
            raise Unfit(f"{self.hook} may not be async: it is called once, at start")
        self._check_arguments(caller.spec.argnames)

    def _check_arguments(self, offered: tuple[str, ...]) -> None:
        for argument in self.arguments:
            if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
                raise Unfit(f"{self.hook} may not take {argument}; it names the arguments that it wants of {_all(offered)}")
            if argument.name in offered and (argument.default is not argument.empty or argument.kind is argument.KEYWORD_ONLY):
                raise Unfit(f"{self.hook}: the argument {argument.name!r} may have no default and not be keyword-only")
            if argument.name not in offered and argument.default is argument.empty:
                raise Unfit(f"{self.hook} has no argument {argument.name!r}, only {_all(offered)}")


def _marked(manager: PluginManager, implementation: object) -> Iterator[_Marked]:
    for name in dir(implementation):
        options = manager.parse_hookimpl_opts(implementation, name)
        if options is not None:
            yield _Marked(options.get("specname") or name, getattr(implementation, name), options)


def _unmarked(manager: PluginManager, implementation: object) -> Iterator[str]:
    for name in dir(implementation):
        function = getattr(implementation, name) if name in vars(manager.hook) else None
        if inspect.isroutine(function) and not any(hasattr(function, f"{PROJECT}_{mark}") for mark in ("impl", "spec")):
            yield name


def _unknown_hook(name: str, manager: PluginManager) -> str:
    known = [hook for hook, caller in vars(manager.hook).items() if caller.has_spec()]
    nearest = get_close_matches(name, known, n=1)
    if nearest:
        return f"there is no hook {name}; did you mean {nearest[0]}?"
    return f"there is no hook {name}, and no plugin that is on adds it; @hookimpl(optionalhook=True) allows that"


def _all(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
