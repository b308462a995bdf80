"""`apflow tasks watch`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import click

from apflow.cli.following import Lines, labels
from apflow.cli.output import print_json_line
from apflow.cli.session import Session, shared_options
from apflow_hookspecs import SETTLED, Event, TaskTree

if TYPE_CHECKING:
    from apflow.engine import Engine


@click.command("watch")
@click.argument("task_id", metavar="ID")
@click.option("--after", type=click.IntRange(0), default=0, metavar="NUMBER", help="Only events after this number.")
@shared_options
@click.pass_obj
def watch(session: Session, task_id: str, after: int) -> None:
    """Show the events of a task's tree, to the end of its latest run; with --json one object per line."""
    session.run(lambda engine: _watch(engine, task_id, after, json=session.json))


async def _watch(engine: Engine, task_id: str, after: int, *, json: bool) -> None:
    tree = await engine.tree(task_id)
    show = _as_json() if json else _as_lines(tree)
    running = any(live.id == tree.id for live in engine.manager.running())
    async for event in engine.watch(tree.id, after) if running or tree.status in SETTLED else _stored(engine, tree, after):
        show(event)


async def _stored(engine: Engine, tree: TaskTree, after: int) -> AsyncIterator[Event]:
    """The events of a tree that nobody runs: nothing will follow them."""
    while after < tree.last_event:
        for event in await engine.storage.events(tree.id, after):
            after = event.seq
            yield event
    click.echo(f"the tree is {tree.status}, and not being run", err=True)


def _as_json() -> Callable[[Event], None]:
    from apflow.operations.views import event_view  # noqa: PLC0415 - loads msgspec

    return lambda event: print_json_line(event_view(event))


def _as_lines(tree: TaskTree) -> Callable[[Event], None]:
    tasks = [{"id": task.id, "name": task.name, "key": task.key} for task in tree]
    return Lines(labels(tasks), click.echo).show
