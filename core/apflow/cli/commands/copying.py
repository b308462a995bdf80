"""`apflow tasks copy`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from apflow.cli.following import labels
from apflow.cli.output import print_json, print_lines, say
from apflow.cli.reading import UnreadableFile, read_json
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import nested, outline
from apflow.cli.text import plural
from apflow.escaping import escaped
from apflow_hookspecs import Caller, Json

if TYPE_CHECKING:
    from apflow.cli.failures import ExitCode
    from apflow.cli.reaching import Operations

_AT_FILE = "@"


@click.command("copy")
@click.argument("task_id", metavar="ID")
@click.option("--children", is_flag=True, help="With all that is under it; always so of a group.")
@click.option(
    "--copy-mode",
    type=click.Choice(["minimal", "full", "custom"]),
    default="minimal",
    show_default=True,
    help="What has to run again and what that needs, the whole tree, or the tasks of --task-ids and what they need.",
)
@click.option("--task-ids", metavar="ID,ID...", help="The tasks of a custom copy that are to run again.")
@click.option(
    "--dependents",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Which of those that depend on it run again too; auto leaves out what never ran, where a failed leaf is copied.",
)
@click.option("--include-dependents", is_flag=True, help="Add those that depend on the tasks of a custom copy.")
@click.option("--allow-partial", is_flag=True, help="Leave out those that depend on the tasks of a custom copy.")
@click.option("--overrides", metavar="JSON|@FILE", help='Other fields for the copy: {"KEY": {"inputs": {...}}}.')
@click.option("--no-save", is_flag=True, help="Print the copy as an array, all of it to run; nothing is stored.")
@click.option("--execute", is_flag=True, help="Run the copy to its end, too.")
@click.option("--dry-run", is_flag=True, help="Draw what would run again; nothing is stored.")
@shared_options
@click.pass_context
def copy(ctx: click.Context, /, *, no_save: bool, execute: bool, dry_run: bool, **options: Any) -> None:
    """Copy a task with what has to run again, for running it again; what is stored stays as it is.

    Completed work that it needs is carried over with its results. With --execute exit codes are as of `apflow run`.
    """
    session: Session = ctx.obj
    if execute and (no_save or dry_run):
        raise click.UsageError(f"--execute runs the copy, and {'--no-save' if no_save else '--dry-run'} stores none.")
    params = _params(options)

    if execute:
        ctx.exit(_run(session, params))
    if dry_run:
        _draw(session, params)
        return
    answer = session.call("tasks.copy", save=not no_save, **params)
    if no_save:
        print_json(answer if session.json else answer["tasks"])
        _tell_left_out(answer, params)
    elif session.json:
        print_json(answer)
    else:
        _tell(answer, params)


def _params(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `tasks.copy`; those at their default are left out."""
    task_ids, overrides = options["task_ids"], options["overrides"]
    params = {
        **options,
        "task_ids": None if task_ids is None else [task_id.strip() for task_id in task_ids.split(",")],
        "overrides": None if overrides is None else _overrides(overrides),
    }
    return {name: value for name, value in params.items() if value is not None}


def _overrides(given: str) -> Json:
    if given.startswith(_AT_FILE):
        return read_json(given.removeprefix(_AT_FILE))
    try:
        return json.loads(given)
    except ValueError as error:
        raise UnreadableFile(f"--overrides: not JSON: {error}") from None


def _run(session: Session, params: Mapping[str, Json]) -> ExitCode:
    from apflow.cli.running import pursuit_of_one  # noqa: PLC0415 - loads what runs trees

    report: dict[str, Json] = {}

    async def begin(engine: Operations) -> list[Json]:
        answer = await engine.call("tasks.copy", {**params, "execute": True}, Caller.local())
        report.update({name: value for name, value in answer.items() if name != "tree"})
        if session.json:
            _tell_left_out(answer, params)
        else:
            _tell(answer, params)
        return [{**answer["tree"], "last_event": 1}]  # that it was created needs not be told

    with pursuit_of_one(begin, json=session.json, told=report) as pursuit:
        return session.follow(pursuit)


def _tell(answer: Mapping[str, Json], params: Mapping[str, Json]) -> None:
    tree = answer["tree"]
    for warning in tree.get("warnings", ()):
        say(f"warning: {escaped(warning)}")
    counts = f"{len(answer['run_again']):,} run again, {len(answer['carried_over']):,} carried over"
    click.echo(f"copied: {plural(len(tree['tasks']), 'task')} (tree {escaped(tree['id'])}): {counts}")
    if answer["left_out"]:
        click.echo(_left_out(answer, params))


def _tell_left_out(answer: Mapping[str, Json], params: Mapping[str, Json]) -> None:
    """Say it beside what is printed for machines."""
    if answer["left_out"]:
        say(_left_out(answer, params))


def _left_out(answer: Mapping[str, Json], params: Mapping[str, Json]) -> str:
    count = len(answer["left_out"])
    they, them = ("it", "it") if count == 1 else ("they", "them")
    option = "--include-dependents" if params["copy_mode"] == "custom" else "--dependents all"
    why = f", {they} never ran" if params["copy_mode"] == "minimal" and params["dependents"] == "auto" else ""
    return f"{plural(count, 'dependent')} left out{why}; {option} includes {them}"


def _draw(session: Session, params: Mapping[str, Json]) -> None:
    """Show what a copy would hold: as a tree, with what becomes of each task, and what would be left out."""

    async def look(engine: Operations) -> tuple[Json, Json]:
        answer = await engine.call("tasks.copy", {**params, "dry_run": True}, Caller.local())
        whole = {"task_id": params["task_id"], "flat": True}
        return answer, None if session.json else await engine.call("tasks.tree", whole, Caller.local())

    answer, tree = session.reach(look)
    if session.json:
        print_json(answer)
        return
    print_lines(_drawing(tree["tasks"], answer))
    if answer["left_out"]:
        click.echo(f"{_left_out(answer, params)}:")
        names = labels(tree["tasks"])
        left_out = set(answer["left_out"])
        print_lines(f"  {names[task['id']]}" for task in tree["tasks"] if task["key"] in left_out)


def _drawing(tasks: Sequence[Mapping[str, Json]], answer: Mapping[str, Json]) -> Iterator[str]:
    carried_over = set(answer["carried_over"])
    fates = {
        **dict.fromkeys(answer["left_out"], "kept as a group"),
        **dict.fromkeys(answer["run_again"], "runs again"),
        **{task["key"]: f"carried over ({task['status']})" for task in tasks if task["key"] in carried_over},
    }
    names = labels(tasks)
    for branch, task in outline(nested(_copied(tasks, answer))):
        yield f"{branch}{names[task['id']]}  {fates.get(task['key'], '')}".rstrip()


def _copied(tasks: Sequence[Mapping[str, Json]], answer: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The tasks that the copy would have: those that it tells, and all that are above them."""
    by_id = {task["id"]: task for task in tasks}
    told = {*answer["run_again"], *answer["carried_over"]}
    found: set[str] = set()
    for task in tasks:
        above = task if task["key"] in told else None
        while above is not None and above["id"] not in found:
            found.add(above["id"])
            above = by_id.get(above["parent_id"])
    return [task for task in tasks if task["id"] in found]
