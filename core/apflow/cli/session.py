"""What a command was asked beside its own arguments, and the engine that it works on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import define, evolve

from apflow.cli.failures import show_debug_records
from apflow_hookspecs import Caller, Json

if TYPE_CHECKING:
    from apflow.config import Settings
    from apflow.engine import Engine
    from apflow.host import Host
    from apflow.plugins import PluginInfo

_log = logging.getLogger(__name__)

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@define(slots=False)
class Session:
    """One call of the program: the object of click's context, which a plugin's command gets by `click.pass_obj`.

    Args:
        db: Path or URL of the storage; None takes the configuration's.
        config: Path of the configuration file.
        block: Names of plugins that stay off.
        no_plugins: No plugin but the host's own is imported.
        debug: Errors are shown with their traceback.
        json: Results are printed for machines.
    """

    db: str | None = None
    config: str | None = None
    block: tuple[str, ...] = ()
    no_plugins: bool = False
    debug: bool = False
    json: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The merged configuration; `block` adds to what is blocked there."""
        from apflow.config import load_settings  # noqa: PLC0415 - not every command needs it

        options: dict[str, Any] = {"db": self.db}
        if self.block:
            options["plugins"] = {"block": [*load_settings(self.config).plugins.block, *self.block]}
        settings = load_settings(self.config, options=options)
        for warning in settings.warnings:
            _log.warning("%s", warning)
        return settings

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
        """
        from apflow.cli.interrupting import run_interruptibly  # noqa: PLC0415 - loads asyncio
        from apflow.engine import open_engine  # noqa: PLC0415 - loads all that runs trees

        async def opened() -> R:
            async with open_engine(host=self.host, settings=evolve(self.settings, **options)) as engine:
                return await work(engine)

        return run_interruptibly(opened())

    def call(self, operation: str, **params: Json) -> Json:
        """Open the engine for one operation; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self.run(lambda engine: engine.call(operation, given, Caller.local()))


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.ensure_object(Session)
    if value and param.name:
        setattr(session, param.name, (*session.block, *value) if param.name == "block" else value)
        if param.name == "debug":
            show_debug_records()


def shared_options(command: F) -> F:
    """The options that the program and each of its commands take, so that they may stand before or after the command."""
    # Eager, for `--help` lists the commands of the plugins that `--block` leaves.
    for names, about in reversed(_OPTIONS):
        command = click.option(*names, **about, expose_value=False, is_eager=True, callback=_remember)(command)
    return command


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--db",), {"metavar": "PATH|URL", "help": "The storage."}),
    (("--config",), {"metavar": "FILE", "help": "The configuration, instead of apflow.toml."}),
    (("--block",), {"metavar": "NAME", "multiple": True, "help": "A plugin that stays off. Repeatable."}),
    (("--no-plugins",), {"is_flag": True, "help": "Import no plugin but the host's own."}),
    (("--json",), {"is_flag": True, "help": "Print for machines."}),
    (("--debug",), {"is_flag": True, "help": "Show tracebacks, and what is logged."}),
)
