"""`apflow db`: looking after the storage."""

from __future__ import annotations

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import fields
from apflow.cli.text import escaped
from apflow_hookspecs import Json


@click.group()
def db() -> None:
    """Look after the storage."""


@db.command("info")
@shared_options
@click.pass_obj
def info(session: Session) -> None:
    """Show where the storage is, its schema and size, and how much it holds."""
    facts = session.run(lambda engine: engine.storage.info())
    if session.json:
        print_json(facts)
    else:
        print_lines(fields({name.replace("_", " "): _plain(value) for name, value in facts.items()}))


def _plain(value: Json) -> object:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else value


@db.command("check")
@shared_options
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look for damage. Exit code 3 when there is any; nothing is changed."""
    session: Session = ctx.obj
    found = session.run(lambda engine: engine.storage.check())
    if session.json:
        print_json({"ok": not found, "problems": found})
    else:
        print_lines(map(escaped, found or ["ok"]))
    ctx.exit(ExitCode.STORAGE if found else ExitCode.DONE)
