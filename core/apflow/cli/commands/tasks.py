"""`apflow tasks`: what is stored, read and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from apflow.cli.following import standing
from apflow.cli.lazy import LazyCommand
from apflow.cli.output import compact, print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import fields, nested, outline, table
from apflow.cli.text import moment, plural
from apflow.escaping import escaped
from apflow_hookspecs import Command, Json, TaskStatus

F = TypeVar("F", bound=Callable[..., Any])

STATUSES = click.Choice([status.value for status in TaskStatus])
_CHANGES = "apflow.cli.commands.changes"
_EDITING = "apflow.cli.commands.editing"

_MORE = (
    Command("create", "Store the tasks of a JSON file.", f"{_CHANGES}:create"),
    Command("execute", "Run a stored tree, or what is left of it.", f"{_CHANGES}:execute"),
    Command("cancel", "Cancel tasks and all that is under them.", f"{_CHANGES}:cancel"),
    Command("answer", "Answer what a task waits for.", "apflow.cli.commands.answering:answer"),
    Command("copy", "Copy a task, for running it again.", "apflow.cli.commands.copying:copy"),
    Command("update", "Change a pending task.", f"{_EDITING}:update"),
    Command("delete", "Delete a tree that does not run, or a pending part of it.", f"{_EDITING}:delete"),
    Command("archive", "Freeze a settled tree.", f"{_EDITING}:archive"),
    Command("purge", "Delete trees that settled long ago.", f"{_EDITING}:purge"),
    Command("watch", "Show a tree's events, to the end of its run.", "apflow.cli.commands.watch:watch"),
    Command("history", "Show every attempt of a task.", "apflow.cli.commands.history:history"),
    Command("explain", "Say why a task has not started.", "apflow.cli.commands.explaining:explain"),
    Command("validate", "Check the tasks of a JSON file; nothing is stored.", "apflow.cli.commands.validate:validate"),
)


def _filters(command: F) -> F:
    for option in (
        click.option("--name", metavar="NAME", help="Only with exactly this name."),
        click.option("--user", "user_id", metavar="USER", help="Only this user's."),
        click.option(
            "--status", type=STATUSES, multiple=True, help="Only with this status; of roots that of the tree. Repeatable."
        ),
    ):
        command = option(command)
    return command


@click.group(commands=[LazyCommand(record) for record in _MORE])
def tasks() -> None:
    """List, read, create, execute and cancel tasks.

    A root's id stands for its whole tree.
    """


@tasks.command("list")
@_filters
@click.option("--root-only/--all", default=True, help="Roots, one for each tree (the default), or all tasks.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--cursor", metavar="TEXT", help="Where an earlier list stopped.")
@shared_options
@click.pass_obj
def list_tasks(session: Session, /, *, status: tuple[str, ...], **query: Any) -> None:
    """List tasks, newest tree first."""
    page = session.call("tasks.list", status=list(status) or None, **query)
    if session.json:
        print_json(page)
        return
    print_lines(table(("id", "status", "name", "executor", "user", "created"), [_row(task) for task in page["tasks"]]))
    if page["cursor"]:
        left = f"{len(page['tasks']):,} of {plural(page['total'], 'task')}; --cursor {escaped(page['cursor'])} goes on"
        click.echo(left, err=True)


def _row(task: Mapping[str, Json]) -> tuple[object, ...]:
    status = task["tree"]["status"] if "tree" in task else task["status"]
    return task["id"], status, task["name"], task["executor"], task["user_id"], moment(task["created_at"])


@tasks.command("count")
@_filters
@click.option("--root-only/--all", default=False, help="Roots, or all tasks (the default).")
@shared_options
@click.pass_obj
def count(session: Session, /, *, status: tuple[str, ...], **query: Any) -> None:
    """Count tasks by status."""
    found = session.call("tasks.count", status=list(status) or None, **query)
    if session.json:
        print_json(found)
        return
    counts = {status.value: found["counts"].get(status.value) or None for status in TaskStatus}
    print_lines(fields({**counts, "total": found["total"]}))


@tasks.command("get")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def get(session: Session, task_id: str) -> None:
    """Show one task."""
    task = session.call("tasks.get", task_id=task_id)
    if session.json:
        print_json(task)
    else:
        print_lines(_details(task))


def _details(task: Mapping[str, Json]) -> Iterator[str]:
    yield from fields({name: _plain(name, value) for name, value in task.items()})


def _plain(name: str, value: Json) -> object:
    if name == "tree":
        archived = f", archived {moment(value['archived_at'])}" if "archived_at" in value else ""
        return f"{value['status']}, {value['progress']:.0%}, run {value['run']}{archived}"
    if name == "dependencies":
        return ", ".join(f"{one['key']}{'' if one['required'] else ' (optional)'}" for one in value) or None
    if name == "progress":
        return f"{value:.0%}"
    if name.endswith("_at"):
        return moment(value) or None
    if isinstance(value, dict | list):
        return compact(value) if value else None
    return value


@tasks.command("tree")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def tree(session: Session, task_id: str) -> None:
    """Draw a task and all that is under it."""
    if session.json:
        print_json(session.call("tasks.tree", task_id=task_id))
    else:
        # Not the nested answer: that has to end somewhere, and a drawing does not.
        tasks = session.call("tasks.tree", task_id=task_id, flat=True)["tasks"]
        print_lines(f"{branch}{escaped(task['name'])}  {_standing(task)}" for branch, task in outline(nested(tasks, task_id)))


def _standing(task: Mapping[str, Json]) -> str:
    begun = task["executor"] is None and task["status"] == TaskStatus.IN_PROGRESS
    return f"{standing(task)}, {task['progress']:.0%}" if begun else standing(task)


@tasks.command("children")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def children(session: Session, task_id: str) -> None:
    """List the tasks directly under one."""
    found = session.call("tasks.children", task_id=task_id)
    if session.json:
        print_json(found)
    else:
        print_lines(table(("id", "status", "name", "executor"), [_row(task)[:4] for task in found["tasks"]]))
