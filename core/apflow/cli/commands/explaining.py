"""`apflow tasks explain`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table
from apflow.escaping import escaped
from apflow_hookspecs import Json


@click.command("explain")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def explain(session: Session, task_id: str) -> None:
    """Say why a task has not started, and what it waits for."""
    explanation = session.call("tasks.explain", task_id=task_id)
    if session.json:
        print_json(explanation)
        return
    click.echo(escaped(explanation["message"]))
    if explanation["waits_for"]:
        print_lines(table(("id", "key", "status", "required"), [_row(awaited) for awaited in explanation["waits_for"]]))


def _row(awaited: Mapping[str, Json]) -> tuple[object, ...]:
    return awaited["task_id"], awaited["key"], awaited["status"], "yes" if awaited["required"] else "no"
