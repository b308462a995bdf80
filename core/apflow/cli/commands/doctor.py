"""`apflow doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from attrs import asdict

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json
from apflow.cli.session import Session, shared_options
from apflow.escaping import escaped

if TYPE_CHECKING:
    from apflow.cli.diagnosis import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command("doctor")
@shared_options
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look at versions, configuration, plugins and storage, and say what to do; nothing is changed.

    Exit code 0 when there is no error, 3 when the storage cannot be used, 2 for any other error.
    """
    from apflow.cli.diagnosis import findings  # noqa: PLC0415 - loads what runs trees

    session: Session = ctx.obj
    found = session.inspect(findings)
    if session.json:
        print_json({"ok": not _errors(found), "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            state = click.style(f"{finding.state:<7}", fg=_COLOURS[finding.state])
            click.echo(f"{state}  {finding.about}: {escaped(finding.text)}")
    ctx.exit(_exit_code(found))


def _errors(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.state == "error"]


def _exit_code(found: Sequence[Finding]) -> ExitCode:
    troubled = {finding.about for finding in _errors(found)}
    if "storage" in troubled:
        return ExitCode.STORAGE
    return ExitCode.BAD_INPUT if troubled else ExitCode.DONE
