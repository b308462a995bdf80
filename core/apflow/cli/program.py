"""The program: its groups and commands, as records, and how it ends."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import TextIOWrapper
from typing import Any

import click

from apflow.cli.failures import ExitCode, exit_code, report, warnings_shown
from apflow.cli.lazy import LazyCommand
from apflow.cli.output import colour
from apflow.cli.session import Session, shared_options
from apflow_hookspecs import ApflowError, Command

_log = logging.getLogger(__name__)

COMMANDS = (
    Command("run", "Run the tasks of a JSON file to their end.", "apflow.cli.commands.run:run"),
    Command("resume", "Go on with what an earlier process was asked to run.", "apflow.cli.commands.resume:resume"),
    Command("tasks", "List, read, create, execute and cancel tasks.", "apflow.cli.commands.tasks:tasks"),
    Command("executors", "Show what tasks can be made of.", "apflow.cli.commands.executors:executors"),
    Command("plugins", "Show the plugins, their state and why.", "apflow.cli.commands.plugins:plugins"),
    Command("db", "Look after the storage.", "apflow.cli.commands.db:db"),
    Command("doctor", "Look for trouble, and say what to do.", "apflow.cli.commands.doctor:doctor"),
    Command("config", "Show the configuration.", "apflow.cli.commands.config:config"),
)


class Program(click.Group):
    """The root of all commands: those of this package, then the plugins', all imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, ours first."""
        return [*self.commands, *(name for name in _plugin_commands(ctx) if name not in self.commands)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of the commands; a plugin's that is never reached is told of."""
        for warning in shadowed(ctx.ensure_object(Session)):
            _log.warning("%s", warning)
        super().format_commands(ctx, formatter)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; plugins are looked at only for a name that is not ours."""
        own = self.commands.get(cmd_name)
        if own is not None:
            return own
        record = _plugin_commands(ctx).get(cmd_name)
        return None if record is None else LazyCommand(record)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is nobody's business, an exit code least of all."""
        super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's own signature
        **extra: Any,
    ) -> Any:
        """Run the program and leave with its exit code; nobody sees a traceback without `--debug`."""
        session = extra.setdefault("obj", Session())
        extra.setdefault("color", colour())
        work = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return work()
        if sys.stdout is None:  # it was closed before the program began
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - to the end of the process
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        with warnings_shown():
            code = _outcome(work, session)
        if session.haunted:  # the interpreter would wait at its end for what cannot be ended
            sys.stderr.flush()
            os._exit(code)
        sys.exit(code)


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _outcome(work: Callable[[], int | None], session: Session) -> int:
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return ExitCode.INCOMPLETE
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            report(error, debug=session.debug)
            return exit_code(error)
        _forget_output()
        report(ApflowError(f"the output cannot be written: {error.strerror}"), debug=session.debug)
        return ExitCode.INCOMPLETE
    except Exception as error:  # noqa: BLE001 - the last place where an error can be told in a line
        report(error, debug=session.debug)
        return exit_code(error)
    return code or ExitCode.DONE


def _forget_output() -> None:
    # Else the interpreter complains at exit, when it flushes what nobody reads (docs.python.org, "Note on SIGPIPE").
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def shadowed(session: Session) -> Iterator[str]:
    """For each command of a plugin that has the name of one of ours: that it cannot be reached."""
    host = session.host
    for name in (command.name for command in COMMANDS if command.name in host.commands):
        rule = "cannot be reached, as the program has one of that name; give it another"
        yield f"plugin {host.provider('command', name).label}: its command {name!r} {rule}"


def _plugin_commands(ctx: click.Context) -> Mapping[str, Command]:
    return ctx.ensure_object(Session).host.commands


@click.group(
    cls=Program, commands=[LazyCommand(record) for record in COMMANDS], context_settings={"help_option_names": ["-h", "--help"]}
)
@shared_options
@click.version_option(package_name="apflow", prog_name="apflow", message="%(prog)s %(version)s")
def program() -> None:
    """Run trees of tasks.

    The options here may stand before or after the command.
    """
