"""`apflow db`: looking after the storage."""

from __future__ import annotations

from pathlib import Path

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import fields
from apflow.escaping import escaped
from apflow_hookspecs import Json
from apflow_hookspecs.errors import StorageOwned


@click.group()
def db() -> None:
    """Look after the storage."""


@db.command("info")
@shared_options
@click.pass_obj
def info(session: Session) -> None:
    """Show where the storage is, its schema and size, and how much it holds."""
    facts = session.look_after(lambda storage: storage.info())
    if session.json:
        print_json(facts)
    else:
        print_lines(fields({name.replace("_", " "): _plain(value) for name, value in facts.items()}))


def _plain(value: Json) -> object:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or None
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else value


@db.command("check")
@shared_options
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look for damage. Exit code 3 when there is any; nothing is changed."""
    session: Session = ctx.obj
    found = session.look_after(lambda storage: storage.check())
    if session.json:
        print_json({"ok": not found, "problems": found})
    else:
        print_lines(map(escaped, found or ["ok"]))
    ctx.exit(ExitCode.STORAGE if found else ExitCode.DONE)


@db.command("migrate")
@shared_options
@click.pass_obj
def migrate(session: Session) -> None:
    """Bring the schema up to date, as every command does that writes."""
    try:
        steps = session.look_after(lambda storage: storage.migrate(), read_only=False)
    except StorageOwned:  # whoever has it open has done so
        steps = []
    if session.json:
        print_json({"steps": steps})
    else:
        print_lines(map(escaped, steps or ["up to date"]))


@db.command("backup")
@click.argument("file", metavar="FILE")
@shared_options
@click.pass_obj
def backup(session: Session, file: str) -> None:
    """Write a consistent copy to a file that is not there yet, while others read and write."""
    target = str(Path(file).absolute())
    # Read from here, which holds up neither the storage's owner nor those who come after it.
    session.look_after(lambda storage: storage.backup(target))
    if session.json:
        print_json({"target": target})
    else:
        click.echo(f"copied to {escaped(target)}")
