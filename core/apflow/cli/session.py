"""What a command was asked beside its own arguments, and the engine that it works on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import define, evolve, field

from apflow.cli.failures import show_json_lines, show_records, show_tracebacks
from apflow_hookspecs import Caller, Json, Storage

if TYPE_CHECKING:
    import asyncio

    from apflow.cli.interrupting import Interruption
    from apflow.cli.reaching import Job, Operations, Reach
    from apflow.config import Settings
    from apflow.engine import Engine
    from apflow.host import Host
    from apflow.plugins import PluginInfo
    from apflow.remote import RemoteEngine

_log = logging.getLogger(__name__)

C = TypeVar("C")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@define(slots=False)
class Session:
    """One call of the program: the object of click's context, which a plugin's command gets by `click.pass_obj`.

    Args:
        db: Path or URL of the storage; None takes the configuration's.
        config: Path of the configuration file.
        block: Names of plugins that stay off.
        url: Of the server that is to do it; None takes the configuration's, or does it here.
        no_plugins: No plugin but the host's own is imported.
        debug: Errors are shown with their traceback.
        json: Results are printed for machines.

    Attributes:
        haunted: Whether something that cannot be ended still goes on here; see `run_interruptibly`.
    """

    db: str | None = None
    config: str | None = None
    url: str | None = None
    block: tuple[str, ...] = ()
    no_plugins: bool = False
    debug: bool = False
    json: bool = False
    haunted: bool = field(default=False, init=False)
    _told: set[str] = field(factory=set, init=False)

    @cached_property
    def settings(self) -> Settings:
        """The merged configuration; `block` adds to what is blocked there."""
        from apflow.config import load_settings  # noqa: PLC0415 - not every command needs it

        options: dict[str, Any] = {"db": self.db, "url": self.url}
        if self.block:
            options["plugins"] = {"block": [*load_settings(self.config).plugins.block, *self.block]}
        settings = load_settings(self.config, options=options)
        if settings.log_format == "json":
            show_json_lines()
        if not self.debug:
            show_records(settings.log_level)
        for warning in settings.warnings:
            if warning not in self._told:
                self._told.add(warning)
                _log.warning("%s", warning)
        return settings

    def forget(self) -> None:
        """Read the settings and load the plugins anew: to find a plugin's command, both were needed before its options."""
        for name in ("settings", "host"):
            self.__dict__.pop(name, None)

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's table of the configuration, structured into its attrs class.

        Raises:
            ConfigError: It does not fit.
        """
        return self.settings.section(name, cls)

    @cached_property
    def host(self) -> Host:
        """The plugins, loaded."""
        from apflow.host import Host  # noqa: PLC0415 - loads pluggy
        from apflow.plugins import OURS  # noqa: PLC0415

        choice = self.settings.plugins
        allow = (OURS,) if self.no_plugins else choice.allow
        return Host.discover(allow, choice.block, strict=choice.strict, hook_timeout=self.settings.hook_timeout)

    @property
    def plugins(self) -> Sequence[PluginInfo]:
        """The installed plugins, as far as they may be known: with `no_plugins` from their metadata alone."""
        from apflow.plugins import installed  # noqa: PLC0415 - loads importlib.metadata

        if not self.no_plugins:
            return self.host.plugins
        return [plugin.info for plugin in installed(self.settings.plugins.allow, self.settings.plugins.block)]

    def run(self, work: Callable[[Engine], Awaitable[R]], **options: Any) -> R:
        """Open the engine, do some work with it, and close it; a signal ends the work in order.

        Args:
            work: Called with the engine, once.
            options: Settings that go before the configured ones.

        Raises:
            Interrupted: SIGINT or SIGTERM ended the work.
            StorageOwned: Another process has the storage open.
        """
        self._only_here()

        async def opened(_: Interruption) -> R:
            async with self._open(**options) as engine:
                return await work(engine)

        return self._run(opened)

    def serve(
        self,
        work: Callable[[Engine, asyncio.Event], Awaitable[R]],
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        **options: Any,
    ) -> R:
        """Open the engine, also to the other commands of this machine, and do some work that has its own way to end.

        Args:
            work: Called with the engine and an event that the first signal sets; a second one ends the process at once.
            loop_factory: Makes the event loop on which all of it runs; by default asyncio does.
            options: Settings that go before the configured ones.

        Raises:
            StorageOwned: Another process has the storage open.
        """
        self._only_here()
        show_tracebacks()

        async def opened(signals: Interruption) -> R:
            async with self._open(**options) as engine:
                with signals.noted() as asked:
                    return await work(engine, asked)

        return self._run(opened, loop_factory)

    def reach(self, work: Callable[[Operations], Awaitable[R]], *, again: bool = False) -> R:
        """Do something that is over in a moment, here or through the process that has the storage open.

        Args:
            work: Called with what answers operations.
            again: It only looks, and may be repeated when that process ends meanwhile.

        Raises:
            Interrupted: SIGINT or SIGTERM ended the work.
            StorageOwned: Another process has the storage open, and cannot be reached.
        """
        return self._run(lambda signals: self._reach(signals).briefly(work, again=again))

    def follow(self, job: Job[R], **options: Any) -> R:
        """Do a job that takes its time, here or through the process that has the storage open.

        A signal has what runs here end in order. Errors as of `reach`.

        Args:
            job: What is to be done.
            options: Settings that go before the configured ones, where it is done here.
        """
        return self._run(lambda signals: self._reach(signals, **options).lastingly(job))

    def call(self, operation: str, **params: Json) -> Json:
        """The answer to one operation, from here or from the process that has the storage open.

        Parameters that are None are left out. Errors as of `reach`.
        """
        from apflow.operations import CATALOGUE  # noqa: PLC0415 - loads what runs trees

        given = {name: value for name, value in params.items() if value is not None}
        known = CATALOGUE.get(operation) or self.host.operations.get(operation)
        looks = known is not None and known.scope == "read"
        return self.reach(lambda engine: engine.call(operation, given, Caller.local()), again=looks)

    def inspect(self, work: Callable[[Session], Coroutine[Any, Any, R]]) -> R:
        """Do something that opens for itself what it looks at; a signal ends it.

        Raises:
            Interrupted: SIGINT or SIGTERM ended the work.
        """
        self._only_here()
        return self._run(lambda _: work(self))

    def look_after(self, work: Callable[[Storage], Awaitable[R]], *, read_only: bool = True) -> R:
        """Do something with the storage alone: beside its owner, where it is only read.

        Args:
            work: Called with the storage, once.
            read_only: Neither own nor change it.

        Raises:
            Interrupted: SIGINT or SIGTERM ended the work.
            StorageUnavailable: It cannot be used.
        """
        self._only_here()

        async def opened(_: Interruption) -> R:
            from apflow.engine import open_storage  # noqa: PLC0415 - loads what runs trees

            storage = await open_storage(self.host, self.settings, read_only=read_only)
            try:
                return await work(storage)
            finally:
                await storage.close()

        return self._run(opened)

    def _reach(self, signals: Interruption, **options: Any) -> Reach:
        from apflow.cli.reaching import Reach  # noqa: PLC0415 - loads what runs trees

        return Reach(lambda served: self._open(served=served, **options), signals, self._distant())

    def _distant(self) -> Callable[[], AbstractAsyncContextManager[RemoteEngine]] | None:
        """What reaches the server that was named; a storage that was named beside it goes before one of the configuration."""
        if self.url is not None and self.db is not None:
            raise click.UsageError("--url and --db name two places; one of them is enough.")
        url, token = self.settings.url, self.settings.token
        if url is None or self.db is not None:
            return None
        from apflow.distant import reached  # noqa: PLC0415 - loads what runs trees

        return lambda: reached(url, token)

    def _only_here(self) -> None:
        if self.url is not None:
            raise click.UsageError("--url: this command works on this machine only.")

    def _open(self, *, served: bool = True, **options: Any) -> AbstractAsyncContextManager[Engine]:
        from apflow.engine import open_engine  # noqa: PLC0415 - loads what runs trees

        return open_engine(host=self.host, settings=evolve(self.settings, **options), served=served)

    def _run(
        self,
        work: Callable[[Interruption], Coroutine[Any, Any, R]],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> R:
        from apflow.cli.interrupting import run_interruptibly  # noqa: PLC0415 - loads asyncio

        return run_interruptibly(work, self._haunted, loop_factory)

    def _haunted(self) -> None:
        self.haunted = True


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.ensure_object(Session)
    if value and param.name:
        setattr(session, param.name, (*session.block, *value) if param.name == "block" else value)
        session.forget()
        if param.name == "debug":
            show_records("debug")


def shared_options(command: F) -> F:
    """The options that the program and each of its commands take, so that they may stand before or after the command."""
    # Eager, for `--help` lists the commands of the plugins that `--block` leaves.
    for names, about in reversed(_OPTIONS):
        command = click.option(*names, **about, expose_value=False, is_eager=True, callback=_remember)(command)
    return command


def share_options(command: click.Command) -> None:
    """Give a loaded command, and those in it, what they lack of the shared options, where no other has the name."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            share_options(inner)
    taken = {name for parameter in command.params for name in parameter.opts}
    for names, about in _OPTIONS:
        if taken.isdisjoint(names):
            click.option(*names, **about, expose_value=False, is_eager=True, callback=_remember)(command)


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--db",), {"metavar": "PATH|URL", "help": "The storage."}),
    (("--url",), {"metavar": "URL", "help": "The server that is to do it, instead of this machine."}),
    (("--config",), {"metavar": "FILE", "help": "The configuration, instead of apflow.toml."}),
    (("--block",), {"metavar": "NAME", "multiple": True, "help": "A plugin that stays off. Repeatable."}),
    (("--no-plugins",), {"is_flag": True, "help": "Import no plugin but the host's own."}),
    (("--json",), {"is_flag": True, "help": "Print for machines."}),
    (("--debug",), {"is_flag": True, "help": "Show tracebacks, and what is logged."}),
)
