"""What plugins provide, collected once and checked: executors, policies, storages, commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args, get_origin

from attrs import frozen, has
from pluggy import PluginManager

from apflow.loading import Unfit
from apflow.plugins import Plugin
from apflow_hookspecs import SCOPES, Command, FunctionExecutor, Operation, Policy, StorageScheme
from apflow_hookspecs.errors import PluginConflict
from apflow_hookspecs.executors import OnCrash

KindName = Literal["executor", "policy", "storage", "command", "operation"]

ON_CRASH = get_args(OnCrash)
OPERATION_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
OURS = ("tasks", "system")
"""Name spaces of the host's own operations."""


@frozen
class Kind:
    """One kind of thing that plugins provide.

    Args:
        name: As messages call it.
        hook: The hook that yields such things.
        key: The attribute by which one is chosen, unique among all plugins.
        check: Raises where a value cannot be used.
    """

    name: KindName
    hook: str
    key: str
    check: Callable[[Any], None]

    def collect(self, manager: PluginManager, plugin: Plugin) -> dict[str, Any]:
        """What a plugin provides of this kind, by key, in the plugin's order.

        Raises:
            Exception: Whatever the plugin's code raises, and what is wrong with the values.
        """
        values: dict[str, Any] = {}
        for found in getattr(manager.hook, self.hook).get_hookimpls():
            for value in self._answer(found.function()) if found.plugin_name == plugin.name else ():
                key = self._checked_key(value)
                if key in values:
                    raise Unfit(f"{self.hook} yields two of the {self.key} {key!r}")
                values[key] = value
        return values

    def conflict(self, key: str, one: Plugin, other: Plugin) -> PluginConflict:
        """The error for two plugins that provide the same thing."""
        return PluginConflict(
            f"the {self.name} {key!r} is provided by two plugins, {one.info.label} and {other.info.label}; "
            f"block one of them, as with APFLOW_BLOCK={other.name}"
        )

    def _answer(self, answer: Iterable[Any] | None) -> Iterable[Any]:
        if answer is None:
            return ()
        if not isinstance(answer, Iterable):
            raise Unfit(f"{self.hook} returned {answer!r} instead of yielding each {self.name}")
        return answer

    def _checked_key(self, value: Any) -> str:
        if isinstance(value, type):
            raise Unfit(f"{self.hook} yields the class {value.__name__} instead of an instance")
        key = getattr(value, self.key, None)
        if not isinstance(key, str) or not key:
            raise Unfit(f"{self.hook} yields {value!r}, whose {self.key} is {key!r} instead of a text")
        self.check(value)
        return key


def _check_executor(value: Any) -> None:
    if not callable(getattr(value, "execute", None)):
        raise Unfit(f"the executor {value.id!r} has no method execute")
    if inspect.isasyncgenfunction(getattr(value, "function", value.execute)):
        raise Unfit(f"the executor {value.id!r} is an async generator; it has to return its result")
    on_crash = getattr(value, "on_crash", None)
    if on_crash is not None and on_crash not in ON_CRASH:
        raise Unfit(f"the executor {value.id!r}: on_crash is {on_crash!r} instead of one of {', '.join(map(repr, ON_CRASH))}")
    _check_class(f"the executor {value.id!r}: params", getattr(value, "Params", None))
    if isinstance(value, FunctionExecutor):
        try:
            _ = value.signature  # Evaluates the annotations, which is better tried now than when a task runs.
        except TypeError as error:
            raise Unfit(str(error)) from error


def _check_policy(value: Any) -> None:
    _check_type(value, Policy)
    if not callable(value.around) or inspect.isasyncgenfunction(value.around):
        raise Unfit(f"the policy {value.name!r}: around is not an async function that returns the result")
    try:
        inspect.signature(value.around).bind("call_next", "context", "options")
    except TypeError as error:
        rule = "cannot be called with call_next, context and options"
        raise Unfit(f"the policy {value.name!r}: around{inspect.signature(value.around)} {rule}: {error}") from error
    _check_class(f"the policy {value.name!r}: options", value.options)
    if not isinstance(value.order, int):
        raise Unfit(f"the policy {value.name!r}: order is {value.order!r} instead of an integer")


def _check_storage(value: Any) -> None:
    _check_type(value, StorageScheme)
    if not callable(value.open):
        raise Unfit(f"the storage {value.scheme!r}: open is not a function")


def _check_command(value: Any) -> None:
    _check_type(value, Command)
    module, colon, attribute = value.target.partition(":")
    if not (module and colon and attribute):
        raise Unfit(f"the command {value.name!r}: target is {value.target!r} instead of module:attribute")


def _check_operation(value: Any) -> None:
    _check_type(value, Operation)
    if not OPERATION_NAME.fullmatch(value.name):
        raise Unfit(f"the operation {value.name!r}: its name must be a name space, a dot and a verb, as counter.count")
    if value.name.partition(".")[0] in OURS:
        raise Unfit(f"the operation {value.name!r}: the names under {' and '.join(OURS)} are the host's")
    if value.scope not in SCOPES:
        raise Unfit(f"the operation {value.name!r}: scope is {value.scope!r} instead of one of {', '.join(sorted(SCOPES))}")
    if not inspect.iscoroutinefunction(value.run):
        raise Unfit(f"the operation {value.name!r}: run is not an async function")
    _check_class(f"the operation {value.name!r}: params", value.params)


def _check_class(what: str, value: Any) -> None:
    if value is not None and not (isinstance(get_origin(value) or value, type) and has(value)):
        raise Unfit(f"{what} is {value!r} instead of an attrs class")


def _check_type(value: Any, cls: type) -> None:
    if not isinstance(value, cls):
        raise Unfit(f"{value!r} is not a {cls.__name__}")


EXECUTOR = Kind("executor", "apflow_executors", "id", _check_executor)
POLICY = Kind("policy", "apflow_policies", "name", _check_policy)
STORAGE = Kind("storage", "apflow_storages", "scheme", _check_storage)
COMMAND = Kind("command", "apflow_commands", "name", _check_command)
OPERATION = Kind("operation", "apflow_operations", "name", _check_operation)
KINDS = {kind.name: kind for kind in (EXECUTOR, POLICY, STORAGE, COMMAND, OPERATION)}
