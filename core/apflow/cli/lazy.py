"""Commands that are imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from apflow.cli.session import share_options
from apflow_hookspecs import Command
from apflow_hookspecs.errors import ConfigError


class LazyCommand(click.Command):
    """Stands for the command of a record: listing and completion need its name and help only."""

    def __init__(self, record: Command) -> None:
        super().__init__(record.name, help=record.help, short_help=record.help)
        self.record = record

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Load the command, which takes over from here: click goes on with the context's command."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """Import the command.

        Raises:
            ConfigError: It cannot be imported, or is none.
        """
        module, _, attribute = self.record.target.partition(":")
        try:
            command = getattr(import_module(module), attribute)
        except Exception as error:  # foreign code: whatever a plugin does when it is imported
            raise self._unusable(f"{type(error).__name__}: {error}") from error
        if not isinstance(command, click.Command):
            raise self._unusable(f"it is no click command, but {type(command).__name__}")
        share_options(command)
        return command

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(f"the command {self.name!r} cannot be loaded from {self.record.target!r}: {why}")
