"""How the program ends when something goes wrong: one line on standard error per problem, and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import click

from apflow.cli.output import colour
from apflow.cli.text import plural
from apflow.escaping import escaped
from apflow.logs import JsonLines, OneLine
from apflow_hookspecs.errors import ApflowError, ConfigError, StorageOwned, StorageUnavailable

_OURS = logging.getLogger("apflow")

SHOWN = 20
"""Problems that are listed one by one."""


class ExitCode(IntEnum):
    """What the program's exit code says."""

    DONE = 0
    INCOMPLETE = 1
    """The tree did not complete."""
    BAD_INPUT = 2
    STORAGE = 3
    """The storage cannot be used."""
    OWNED = 4
    """Another process owns the storage and cannot be reached."""
    WAITING = 5
    """It stopped at a wait that nobody here can answer."""
    INTERNAL = 70
    """A fault of the program or of a plugin (`EX_SOFTWARE` of sysexits.h)."""
    INTERRUPTED = 130


class Interrupted(Exception):
    """A signal ended the work, in order. Not a `KeyboardInterrupt`: click has an answer of its own to that."""


_EXIT_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (Interrupted, ExitCode.INTERRUPTED),
    (click.Abort, ExitCode.INTERRUPTED),
    (StorageOwned, ExitCode.OWNED),
    (StorageUnavailable, ExitCode.STORAGE),
    (ConfigError, ExitCode.BAD_INPUT),
)


def exit_code(error: BaseException) -> int:
    """The exit code for an error that ends a command."""
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, click.ClickException):
        return error.exit_code
    refused = isinstance(error, ApflowError) and error.code != ApflowError.code
    return ExitCode.BAD_INPUT if refused else ExitCode.INTERNAL


def report(error: BaseException, *, debug: bool = False) -> None:
    """Say on standard error what went wrong; with a traceback only when `debug`."""
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    elif isinstance(error, click.ClickException):
        error.show()
    else:
        for line in told(error):
            click.echo(f"{click.style('error:', fg='red', bold=True)} {line}", err=True, color=colour())


def told(error: BaseException) -> Iterator[str]:
    """The lines that tell of an error."""
    match error:
        case Interrupted() | click.Abort():
            yield "interrupted"
        case ApflowError():
            yield from _refusal(error)
        case _:
            about = f": {escaped(error)}" if str(error) else ""
            yield f"unexpected {type(error).__name__}{about} (--debug shows where)"


def _refusal(error: ApflowError) -> Iterator[str]:
    lines = [str(problem) for problem in error.problems]
    # A message that only repeats what is listed is left out; it may count more than are listed.
    if not lines or error.message not in (lines[0], f"{len(lines)} problems, the first: {lines[0]}"):
        yield escaped(error.message)
    yield from map(escaped, lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"and {plural(len(lines) - SHOWN, 'more problem')}"


class _StandardError(logging.Handler):
    """Writes to what `sys.stderr` is at the time: a live display takes its place for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - the rule of every handler: logging never ends the program
            self.handleError(record)


@contextmanager
def warnings_shown() -> Iterator[None]:
    """While it lasts, log records from WARNING on go to standard error, a line each."""
    root, handler, level = logging.getLogger(), _StandardError(), _OURS.level
    handler.setFormatter(OneLine())
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        _OURS.setLevel(level)


def show_records(level: str) -> None:
    """Let our log records through from a level on; what libraries tell of themselves would bury them."""
    _OURS.setLevel(level.upper())


def show_tracebacks() -> None:
    """Show every exception with its traceback: the log of a server is read by who runs it."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StandardError) and isinstance(handler.formatter, OneLine):
            handler.setFormatter(OneLine(tracebacks=True))


def show_json_lines() -> None:
    """Show log records as JSON."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StandardError):
            handler.setFormatter(JsonLines())
