"""`apflow tasks create`, `execute`, `cancel` and `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json, print_lines
from apflow.cli.reading import read_tasks
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table
from apflow.cli.text import escaped, plural
from apflow_hookspecs import Caller, Json

if TYPE_CHECKING:
    from apflow.engine import Engine

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

    async def work(engine: Engine) -> ExitCode:
        tree = await created(engine, tasks, fresh_ids=not keep_ids)
        if execute:
            from apflow.cli.running import run_to_end  # noqa: PLC0415 - heavy

            return await run_to_end(engine, tree["id"], json=session.json)
        if session.json:
            print_json(tree)
        else:
            click.echo(f"created: {plural(len(tree['tasks']), 'task')} (tree {escaped(tree['id'])})")
        return ExitCode.DONE

    ctx.exit(session.run(work))


async def created(engine: Engine, tasks: list[Json], *, fresh_ids: bool) -> Json:
    """Store a tree; what is to be said about it goes to standard error."""
    tree = await engine.call("tasks.create", {"tasks": tasks, "fresh_ids": fresh_ids}, Caller.local())
    for warning in tree.get("warnings", ()):
        click.echo(f"warning: {escaped(warning)}", err=True)
    return tree


@click.command("execute")
@click.argument("task_id", metavar="ID")
@timeout_option
@shared_options
@click.pass_context
def execute(ctx: click.Context, task_id: str, *, timeout: float | None) -> None:
    """Run a stored tree, or what is left of it, to its end; exit codes as of `apflow run`."""
    session: Session = ctx.obj

    async def work(engine: Engine) -> ExitCode:
        from apflow.cli.running import run_to_end  # noqa: PLC0415 - heavy

        return await run_to_end(engine, task_id, within=timeout, json=session.json)

    ctx.exit(session.run(work))


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


@click.command("delete")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def delete(session: Session, task_id: str) -> None:
    """Delete a tree that does not run."""
    deleted = session.call("tasks.delete", task_id=task_id)
    if session.json:
        print_json(deleted)
    else:
        click.echo(f"deleted: {plural(deleted['deleted'], 'task')}")
