"""`apflow tasks create`, `execute` and `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json, print_lines, say
from apflow.cli.reading import read_tasks
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table
from apflow.cli.text import plural
from apflow.escaping import escaped
from apflow_hookspecs import Caller, Json

if TYPE_CHECKING:
    from apflow.cli.reaching import Operations

timeout_option = click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Cancel the tree after this time."
)


@click.command("create")
@click.argument("file", metavar="FILE|-")
@click.option("--keep-ids/--fresh-ids", default=True, help="Take the ids of the file (the default), or make new ones.")
@click.option("--execute", is_flag=True, help="Run the tree to its end, too.")
@shared_options
@click.pass_context
def create(ctx: click.Context, file: str, *, keep_ids: bool, execute: bool) -> None:
    """Store the tasks of a JSON file (- is standard input)."""
    session: Session = ctx.obj
    tasks = read_tasks(file)

    if execute:
        ctx.exit(run_new(session, tasks, fresh_ids=not keep_ids))
    tree = session.call("tasks.create", tasks=tasks, fresh_ids=not keep_ids)
    _warn(tree)
    if session.json:
        print_json(tree)
    else:
        click.echo(f"created: {plural(len(tree['tasks']), 'task')} (tree {escaped(tree['id'])})")


def run_new(session: Session, tasks: list[Json], *, fresh_ids: bool, timeout: float | None = None, **options: Any) -> ExitCode:
    """Store a tree, run it to its end and show it, here or through the process that has the storage open."""
    from apflow.cli.running import pursuit_of_one  # noqa: PLC0415 - loads what runs trees

    async def begin(engine: Operations) -> list[Json]:
        params = {"tasks": tasks, "fresh_ids": fresh_ids, "execute": True}
        tree = await engine.call("tasks.create", params, Caller.local())
        _warn(tree)
        return [{**tree, "last_event": 1}]  # that it was created needs not be told

    with pursuit_of_one(begin, json=session.json, within=timeout) as pursuit:
        return session.follow(pursuit, **options)


def _warn(tree: Json) -> None:
    for warning in tree.get("warnings", ()):
        say(f"warning: {escaped(warning)}")


@click.command("execute")
@click.argument("task_id", metavar="ID")
@timeout_option
@click.option("--rerun", is_flag=True, help="All of the tree once more, also what has completed.")
@click.option("--no-wait", is_flag=True, help="Hand it to the process that has the storage open, and return.")
@shared_options
@click.pass_context
def execute(ctx: click.Context, task_id: str, *, timeout: float | None, rerun: bool, no_wait: bool) -> None:
    """Run a stored tree, or what is left of it, to its end; exit codes as of `apflow run`.

    What did not complete runs again, with all that depends on it. One task of a tree runs with what it needs and has not
    completed, and what depends on it and has settled.
    """
    session: Session = ctx.obj
    if no_wait:
        tree = session.reach(lambda engine: _handed_over(engine, task_id, rerun=rerun))
        if session.json:
            print_json(tree)
        else:
            click.echo(f"started: tree {escaped(tree['id'])}")
        return
    from apflow.cli.running import executed, pursuit_of_one  # noqa: PLC0415 - loads what runs trees

    with pursuit_of_one(lambda engine: executed(engine, task_id, rerun=rerun), json=session.json, within=timeout) as pursuit:
        ctx.exit(session.follow(pursuit))


async def _handed_over(engine: Operations, task_id: str, *, rerun: bool) -> Json:
    from apflow.remote import RemoteEngine  # noqa: PLC0415 - loads asyncio

    if not isinstance(engine, RemoteEngine):
        raise click.UsageError("No other process has the storage open and could run the tree; leave out --no-wait.")
    return await engine.call("tasks.execute", {"task_id": task_id, "rerun": rerun}, Caller.local())


@click.command("cancel")
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
@shared_options
@click.pass_obj
def cancel(session: Session, task_ids: tuple[str, ...]) -> None:
    """Cancel tasks and all that is under them; what has settled stays as it is."""
    covered = session.call("tasks.cancel", task_ids=list(task_ids))
    if session.json:
        print_json(covered)
    else:
        print_lines(table(("id", "status", "name"), [(one["id"], one["status"], one["name"]) for one in covered["tasks"]]))
