"""The host of plugins: who is there, what each provides, and one typed method per hook."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any

from attrs import evolve

from apflow.hooks import (
    HookFailed,
    Implementation,
    Observer,
    as_it_is,
    implementations,
    in_time,
    inputs_of,
    problems_of,
    secret_of,
    told_when_late,
)
from apflow.loading import FOREIGN, in_one_line, load, switch_off
from apflow.plugins import Plugin, PluginInfo, PluginState, handed_over, installed
from apflow.provided import COMMAND, EXECUTOR, KINDS, OPERATION, POLICY, STORAGE, Kind, KindName
from apflow_hookspecs import (
    EMPTY,
    Command,
    Engine,
    Event,
    ExecutableTask,
    Json,
    Operation,
    Policy,
    Problem,
    StorageScheme,
    Task,
    TaskContext,
    TaskFailed,
    TaskTree,
)
from apflow_hookspecs.errors import ApflowError, ConfigError, PermissionDenied, PluginConflict

__all__ = ["Host", "PluginInfo", "PluginState"]

_log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 10
"""After which an implementation of `apflow_event` is switched off."""


class Host:
    """Plugins, loaded and checked; any number of hosts live side by side.

        host = Host.discover(block=["hello"])   # what is installed
        host = Host({"mine": my_module})        # what is handed over, and nothing else

    Args:
        plugins: Modules or objects that implement hooks, by name.
        strict: Whether a broken plugin is an error; otherwise it is off, and shown.
        hook_timeout: Seconds that an asynchronous gate or observer may take.

    Raises:
        ConfigError: A plugin is broken, and `strict` is set; also from what asks for the plugins' values.
    """

    def __init__(
        self, plugins: Mapping[str, object] | Iterable[Plugin] = EMPTY, *, strict: bool = False, hook_timeout: float = 5.0
    ) -> None:
        self._plugins = handed_over(plugins) if isinstance(plugins, Mapping) else list(plugins)
        self._strict = strict
        self._timeout = hook_timeout
        self._manager = load(self._plugins, strict=strict)

    @classmethod
    def discover(
        cls,
        allow: Iterable[str] = (),
        block: Iterable[str] = (),
        *,
        strict: bool = False,
        hook_timeout: float = 5.0,
        entry_points: Iterable[EntryPoint] | None = None,
    ) -> Host:
        """A host of the installed plugins (`apflow.plugins.installed` lists them without importing any).

        Args:
            allow: Names of plugins or distributions; when there are any, others stay out, save the host's own.
            block: Names likewise; wins over `allow`.
            strict: As of the class.
            hook_timeout: As of the class.
            entry_points: Those to take instead of this environment's.
        """
        return cls(installed(allow, block, entry_points), strict=strict, hook_timeout=hook_timeout)

    # What there is

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins that were found, with their state and why, in the order of their names."""
        self._providers()
        return tuple(self._with_troubles(plugin) if plugin.state is PluginState.ON else plugin.info for plugin in self._plugins)

    @property
    def conflicts(self) -> tuple[PluginConflict, ...]:
        """What two plugins both provide; asking for values of that kind raises the first."""
        return tuple(kind.conflict(key, one, other) for kind, key, one, other in self._clashes())

    @cached_property
    def executors(self) -> Mapping[str, ExecutableTask]:
        """The executors, by id.

        Raises:
            PluginConflict: Two plugins provide the same one.
        """
        return self._values(EXECUTOR)

    @cached_property
    def policies(self) -> Mapping[str, Policy]:
        """The policies, by name; errors as of `executors`."""
        return self._values(POLICY)

    @cached_property
    def storages(self) -> Mapping[str, StorageScheme]:
        """The storages, by the scheme of their URLs; errors as of `executors`."""
        return self._values(STORAGE)

    @cached_property
    def commands(self) -> Mapping[str, Command]:
        """The commands that plugins add to the program, by name; no other hook is called for them.

        Raises:
            PluginConflict: Two plugins provide the same one.
        """
        return self._values(COMMAND)

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The operations that plugins add to the catalogue, by name; errors as of `executors`."""
        return self._values(OPERATION)

    def plugin(self, name: str) -> object:
        """The module or object that is a plugin; a `KeyError` where there is none of this name, or it is not on."""
        found = self._manager.get_plugin(name) if any(plugin.name == name for plugin in self._providers()) else None
        if found is None:
            raise KeyError(name)
        return found

    def provider(self, kind: KindName, key: str) -> PluginInfo:
        """The plugin that provides an executor, a policy, a storage, a command or an operation.

        Raises:
            KeyError: None does.
        """
        for plugin in self._providers():
            if key in plugin.provided[kind]:
                return plugin.info
        raise KeyError(key)

    # Hooks

    @cached_property
    def gates_execution(self) -> bool:
        """Whether a plugin wants to see inputs before an attempt."""
        return bool(self._implementations["apflow_before_execute"])

    @cached_property
    def gates_want_context(self) -> bool:
        """Whether one of these asks for the attempt's context."""
        return any("context" in gate.takes for gate in self._implementations["apflow_before_execute"])

    @cached_property
    def adds_inputs(self) -> bool:
        """Whether a plugin may change inputs before an attempt; one whose hook is annotated to return None only looks."""
        return any(not gate.returns_none for gate in self._implementations["apflow_before_execute"])

    @cached_property
    def changes_results(self) -> bool:
        """Whether a plugin wants to see results before they are stored."""
        return bool(self._implementations["apflow_after_execute"])

    @cached_property
    def gives_secrets(self) -> bool:
        """Whether a plugin knows secrets."""
        return bool(self._implementations["apflow_resolve_secret"])

    @property
    def observes(self) -> bool:
        """Whether a plugin wants to see events."""
        return any(observer.switched_off is None for observer in self._observers)

    async def startup(self, engine: Engine) -> None:
        """`apflow_startup`: plugins begin, however long it takes; one that takes long is named in a warning.

        When one cannot, those that have begun are ended, for which each has `hook_timeout` seconds.

        Raises:
            ApflowError: One could not.
        """
        begun: list[str] = []
        for implementation in self._implementations["apflow_startup"]:
            try:
                with told_when_late(implementation, self._timeout):
                    await implementation.answer(engine, within=None, read=as_it_is)
            except HookFailed as failure:
                await self._shut_down(engine, begun, self._timeout)
                kind = ConfigError if isinstance(failure.__cause__, ConfigError) else ApflowError
                raise kind(f"plugin {failure.plugin!r} cannot start: {failure.reason}") from failure.__cause__
            begun.append(implementation.plugin)

    async def shutdown(self, engine: Engine, within: float | None = None) -> None:
        """`apflow_shutdown`: plugins end; errors are logged.

        Args:
            engine: What they are ended with.
            within: Seconds that each has, though never less than `hook_timeout`; None is for ever.
        """
        within = None if within is None else max(within, self._timeout)
        await self._shut_down(engine, [plugin.name for plugin in self._providers()], within)

    async def validate_task(self, task: Task, executor: ExecutableTask | None, tree: TaskTree) -> list[Problem]:
        """`apflow_validate_task`: what plugins have against a task. A validator that fails has something against it."""
        return await self._problems("apflow_validate_task", task, executor, tree, of=task.key)

    async def validate_tree(self, tree: TaskTree) -> list[Problem]:
        """`apflow_validate_tree`: what plugins have against a tree as a whole."""
        return await self._problems("apflow_validate_tree", tree)

    async def before_execute(self, task: Task, inputs: dict[str, Any], context: TaskContext | None) -> dict[str, Any]:
        """`apflow_before_execute`: the inputs as plugins, one after the other, leave them.

        Args:
            task: Whose.
            inputs: As resolved.
            context: None where no plugin asks for it.

        Raises:
            TaskFailed: One raised it, or failed or gave no answer in time (`denied`).
        """
        for implementation in self._implementations["apflow_before_execute"]:
            try:
                # Per attempt, so a plain function costs its call and nothing else.
                changed = implementation.call(task, inputs, context)
                if changed is not None:
                    changed = inputs_of(await in_time(changed, self._timeout) if hasattr(changed, "__await__") else changed)
            except TaskFailed:
                raise
            except FOREIGN as error:
                raise _denied(HookFailed(implementation.plugin, implementation.hook, in_one_line(error))) from error
            inputs = inputs if changed is None else changed
        return inputs

    async def resolve_secret(self, name: str, task: Task, context: TaskContext) -> str | None:
        """`apflow_resolve_secret`: the first value that a plugin gives; None when none knows the secret.

        Raises:
            TaskFailed: One raised it, or failed (`denied`); what else it raised is left out, as it may hold what is secret.
        """
        for implementation in self._implementations["apflow_resolve_secret"]:
            try:
                value = await implementation.answer(name, task, context, within=self._timeout, read=secret_of)
            except HookFailed as failure:
                if isinstance(failure.__cause__, TaskFailed):
                    raise failure.__cause__ from None
                # Without the cause too: its text would come out with a traceback.
                reason = f"{type(failure.__cause__).__name__} for the secret {name!r}"
                raise _denied(HookFailed(failure.plugin, failure.hook, reason)) from None
            if value is not None:
                return value
        return None

    async def after_execute(self, task: Task, result: Json) -> Json:
        """`apflow_after_execute`: the result as plugins, one after the other, leave it.

        Raises:
            TaskFailed: One raised it, or failed or gave no answer in time (`failed`).
        """
        for implementation in self._implementations["apflow_after_execute"]:
            try:
                changed = implementation.call(task, result)
                if changed is not None and hasattr(changed, "__await__"):
                    changed = await in_time(changed, self._timeout)
            except TaskFailed:
                raise
            except FOREIGN as error:
                failure = HookFailed(implementation.plugin, implementation.hook, in_one_line(error))
                raise TaskFailed(str(failure), details={"plugin": failure.plugin}) from error
            result = result if changed is None else changed
        return result

    async def event(self, event: Event) -> None:
        """`apflow_event`: tell plugins what happened. A failure is logged and counted, and changes nothing."""
        for observer in self._observers:
            if observer.switched_off is None:
                try:
                    await observer.implementation.answer(event, within=self._timeout, read=as_it_is)
                except HookFailed as failure:
                    _count(observer, failure)
                else:
                    observer.in_a_row = 0

    # How

    @cached_property
    def _implementations(self) -> Mapping[str, tuple[Implementation, ...]]:
        self._providers()  # A plugin that turns out to be broken has no say in anything.
        hooks = [hook for hook, caller in vars(self._manager.hook).items() if caller.has_spec()]
        return {hook: implementations(self._manager, hook) for hook in hooks}

    @cached_property
    def _observers(self) -> tuple[Observer, ...]:
        return tuple(Observer(implementation) for implementation in self._implementations["apflow_event"])

    async def _problems(self, hook: str, *arguments: Any, of: str | None = None) -> list[Problem]:
        problems: list[Problem] = []
        for implementation in self._implementations[hook]:
            try:
                # Per task and validator, so a plain function costs its call and nothing else.
                found = implementation.call(*arguments)
                if found in (None, [], ()):
                    continue
                if hasattr(found, "__await__"):
                    found = await in_time(found, self._timeout)
                # One field is told of by one plugin: what else is wrong with it is seen when that has been mended.
                told = {(problem.task, problem.field) for problem in problems if problem.field is not None}
                found = [problem if problem.task else evolve(problem, task=of) for problem in problems_of(found)]
                problems += [problem for problem in found if (problem.task, problem.field) not in told]
            except FOREIGN as error:
                why = f"plugin {implementation.plugin!r} could not check it: {in_one_line(error)}"
                problems.append(Problem(why, of, code=PermissionDenied.code))
        return problems

    async def _shut_down(self, engine: Engine, plugins: Container[str], within: float | None) -> None:
        for implementation in self._implementations["apflow_shutdown"]:
            if implementation.plugin in plugins:
                try:
                    await implementation.answer(engine, within=within, read=as_it_is)
                except HookFailed as failure:
                    about = {"plugin": failure.plugin, "hook": failure.hook}
                    # The cause goes with the record, and the message would tell it a second time.
                    _log.error("plugin %r failed in %s", *about.values(), exc_info=failure.__cause__, extra=about)

    def _providers(self, *kinds: Kind) -> list[Plugin]:
        """The plugins that are on, once they were asked for what they provide; all kinds where none is named."""
        for plugin in self._on():
            try:
                for kind in kinds or KINDS.values():
                    if kind.name not in plugin.provided:
                        plugin.provided[kind.name] = kind.collect(self._manager, plugin)
            except FOREIGN as error:
                switch_off(self._manager, plugin, in_one_line(error), strict=self._strict)
        return self._on()

    def _on(self) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.state is PluginState.ON]

    def _values(self, kind: Kind) -> dict[str, Any]:
        # For its help the program asks for commands, and must not wait for anything else.
        providers = self._providers(kind) if kind is COMMAND else self._providers()
        for _, key, one, other in self._clashes(kind):
            raise kind.conflict(key, one, other)
        return {key: value for plugin in providers for key, value in plugin.provided[kind.name].items()}

    def _clashes(self, *kinds: Kind) -> Iterator[tuple[Kind, str, Plugin, Plugin]]:
        providers = self._providers(*kinds)
        for kind in kinds or KINDS.values():
            owners: dict[str, Plugin] = {}
            for plugin in providers:
                for key in plugin.provided[kind.name]:
                    if key in owners:
                        yield kind, key, owners[key], plugin
                    owners.setdefault(key, plugin)

    def _with_troubles(self, plugin: Plugin) -> PluginInfo:
        observers = [observer for observer in self._observers if observer.implementation.plugin == plugin.name]
        troubles = [str(kind.conflict(key, *two)) for kind, key, *two in self._clashes() if plugin in two]
        troubles += [observer.switched_off for observer in observers if observer.switched_off is not None]
        return evolve(
            plugin.info, reason="; ".join(troubles) or None, failures=sum(observer.failures for observer in observers)
        )


def _denied(failure: HookFailed) -> TaskFailed:
    message = f"plugin {failure.plugin!r} refused it: {failure.reason}"
    return TaskFailed(message, error="denied", details={"plugin": failure.plugin})


def _count(observer: Observer, failure: HookFailed) -> None:
    observer.failures += 1
    observer.in_a_row += 1
    about = {"plugin": failure.plugin, "hook": failure.hook, "failures": observer.failures}
    _log.warning("%s", failure, extra=about)
    if observer.in_a_row >= FAILURES_IN_A_ROW:
        observer.switched_off = f"apflow_event is switched off after {observer.in_a_row} failures in a row: {failure.reason}"
        _log.error("plugin %r: %s", failure.plugin, observer.switched_off, extra=about)
