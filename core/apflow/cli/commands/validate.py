"""`apflow tasks validate`, and the plan that a dry run prints."""

from __future__ import annotations

from collections.abc import Mapping

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json
from apflow.cli.reading import read_tasks
from apflow.cli.session import Session, shared_options
from apflow.cli.text import escaped, plural
from apflow_hookspecs import Json


@click.command("validate")
@click.argument("file", metavar="FILE|-")
@shared_options
@click.pass_context
def validate(ctx: click.Context, file: str) -> None:
    """Check the tasks of a JSON file; nothing is stored. Exit code 2 when something is wrong with them."""
    session: Session = ctx.obj
    report = session.call("tasks.validate", tasks=read_tasks(file))
    if session.json:
        print_json(report)
    else:
        show(report)
    ctx.exit(ExitCode.DONE if report["valid"] else ExitCode.BAD_INPUT)


def show(report: Mapping[str, Json]) -> None:
    """Print what was found: all problems and warnings on standard error, or the plan."""
    for severity, found in (("warning", report["warnings"]), ("error", report["problems"])):
        for problem in found:
            click.echo(f"{severity}: {escaped(problem['message'])}", err=True)
    if report["valid"]:
        click.echo(f"valid: {plural(report['plan']['tasks'], 'task')} in {plural(len(report['plan']['waves']), 'wave')}")


def show_waves(plan: Mapping[str, Json]) -> None:
    """Print which tasks may run side by side, wave by wave."""
    for n, wave in enumerate(plan["waves"], 1):
        click.echo(f"{n:>3}  {', '.join(escaped(key) for key in wave)}")
