"""`apflow config`."""

from __future__ import annotations

import click
from attrs import asdict

from apflow.cli.output import compact, print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table


@click.group()
def config() -> None:
    """Show the configuration."""


@config.command("show")
@shared_options
@click.pass_obj
def show(session: Session) -> None:
    """Show every setting and where its value came from; secrets are masked."""
    lines = list(session.settings.lines())
    if session.json:
        print_json({"config": [asdict(line) for line in lines]})
    else:
        rows = [(line.key, line.value if isinstance(line.value, str) else compact(line.value), line.source) for line in lines]
        print_lines(table(("key", "value", "from"), rows))
