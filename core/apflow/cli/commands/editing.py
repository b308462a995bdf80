"""`apflow tasks update`, `delete`, `archive` and `purge`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table
from apflow.cli.text import plural
from apflow.escaping import escaped
from apflow_hookspecs import Json

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE = re.compile(r"(\d{1,9})([smhdw])")


def _seconds(_: click.Context, __: click.Parameter, age: str) -> float:
    found = _AGE.fullmatch(age)
    if found is None:
        raise click.BadParameter(f"{age!r} is not a number with one of the units s, m, h, d, w, such as 30d.")
    return float(int(found[1]) * _UNITS[found[2]])


def _inclusion(command: F) -> F:
    for option in (
        click.option("--allow-partial", is_flag=True, help="What depends on it stays as it is."),
        click.option("--include-dependents", is_flag=True, help="With what depends on it."),
    ):
        command = option(command)
    return command


@click.command("update")
@click.argument("task_id", metavar="ID")
@click.option("--name", metavar="TEXT", help="Another name; of any task.")
@click.option(
    "--set", "given", metavar="FIELD=VALUE", multiple=True, help="Another value, as JSON or else as text. Repeatable."
)
@_inclusion
@shared_options
@click.pass_obj
def update(
    session: Session, task_id: str, *, name: str | None, given: tuple[str, ...], include_dependents: bool, allow_partial: bool
) -> None:
    """Change author's fields of a pending task: --set priority=0 --set 'inputs={"url": "…"}'.

    The change is checked as the tasks of a new tree are. Whoever changes what a task waits for says what becomes of those that
    depend on it.
    """
    fields = dict(_assigned(each) for each in given)
    if name is not None:
        fields["name"] = name
    changed = session.call(
        "tasks.update", task_id=task_id, fields=fields, include_dependents=include_dependents, allow_partial=allow_partial
    )
    if session.json:
        print_json(changed)
    else:
        print_lines(table(("id", "status", "name"), [(one["id"], one["status"], one["name"]) for one in changed["tasks"]]))


def _assigned(text: str) -> tuple[str, Json]:
    field, assigned, value = text.partition("=")
    if not assigned or not field:
        raise click.UsageError(f"--set takes FIELD=VALUE, and not {escaped(text)!r}.")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value


@click.command("delete")
@click.argument("task_id", metavar="ID")
@_inclusion
@shared_options
@click.pass_obj
def delete(session: Session, task_id: str, *, include_dependents: bool, allow_partial: bool) -> None:
    """Delete a tree that does not run, or a pending task of one with all that is under it."""
    deleted = session.call("tasks.delete", task_id=task_id, include_dependents=include_dependents, allow_partial=allow_partial)
    if session.json:
        print_json(deleted)
        return
    named = f": {', '.join(map(escaped, deleted['keys']))}" if "keys" in deleted else ""
    click.echo(f"deleted: {plural(deleted['deleted'], 'task')}{named}")


@click.command("archive")
@click.argument("task_id", metavar="ID")
@click.option("--undo", is_flag=True, help="Take it out of the archive.")
@shared_options
@click.pass_obj
def archive(session: Session, task_id: str, *, undo: bool) -> None:
    """Freeze a settled tree: it cannot be changed, deleted or run again, only copied."""
    tree = session.call("tasks.archive", task_id=task_id, undo=undo)
    if session.json:
        print_json(tree)
    else:
        click.echo(f"{'taken out of the archive' if undo else 'archived'}: tree {escaped(tree['id'])}")


@click.command("purge")
@click.option("--older-than", callback=_seconds, required=True, metavar="AGE", help="As 90s, 15m, 12h, 30d, 4w.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@shared_options
@click.pass_obj
def purge(session: Session, *, older_than: float, dry_run: bool) -> None:
    """Delete the trees that settled so long ago and have not changed since; archived ones stay."""
    purged = session.call("tasks.purge", older_than=older_than, dry_run=dry_run)
    if session.json:
        print_json(purged)
    else:
        click.echo(f"{'would be deleted' if dry_run else 'deleted'}: {plural(purged['trees'], 'tree')}")
