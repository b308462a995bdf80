"""`apflow executors`: what tasks can be made of."""

from __future__ import annotations

from collections.abc import Mapping

import click

from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import fields, table
from apflow_hookspecs import Caller, Json
from apflow_hookspecs.errors import ExecutorNotFound


@click.group()
def executors() -> None:
    """Show what tasks can be made of."""


@executors.command("list")
@shared_options
@click.pass_obj
def list_executors(session: Session) -> None:
    """List the executors of all plugins."""
    found = _executors(session)
    if session.json:
        print_json({"executors": found})
    else:
        print_lines(table(("id", "plugin", "summary"), [(one["id"], one["plugin"], one["summary"]) for one in found]))


@executors.command("show")
@click.argument("executor_id", metavar="ID")
@shared_options
@click.pass_obj
def show(session: Session, executor_id: str) -> None:
    """Show what an executor takes and gives, and a task to start from."""
    found = {one["id"]: one for one in _executors(session)}
    if executor_id not in found:
        raise ExecutorNotFound(f"no plugin that is on provides the executor {executor_id!r}{_nearest(executor_id, found)}")
    executor = found[executor_id]
    if session.json:
        print_json(executor)
        return
    print_lines(fields({name: executor[name] or None for name in ("id", "summary", "plugin")}))
    click.echo("\ninputs (JSON Schema)")
    print_json(executor["input_schema"])
    if executor["output_schema"]:
        click.echo("\nresult (JSON Schema)")
        print_json(executor["output_schema"])
    click.echo("\nexample, for `apflow run`")
    print_json([executor["example"]])


def _executors(session: Session) -> list[Mapping[str, Json]]:
    # What is installed does not depend on what is stored, and can be shown when the storage is unusable.
    answer = session.run(lambda engine: engine.call("system.executors", {}, Caller.local()), db="memory:")
    found: list[Mapping[str, Json]] = answer["executors"]
    return found


def _nearest(executor_id: str, found: Mapping[str, Json]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - for an error only

    matches = get_close_matches(executor_id, found, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
