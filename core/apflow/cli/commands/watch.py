"""`apflow tasks watch`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
from attrs import define

from apflow.cli.following import Lines, labels
from apflow.cli.output import print_json_line, say
from apflow.cli.session import Session, shared_options
from apflow_hookspecs import SETTLED, Caller, Event, Json

if TYPE_CHECKING:
    from apflow.cli.reaching import Operations


@click.command("watch")
@click.argument("task_id", metavar="ID")
@click.option("--after", type=click.IntRange(0), default=0, metavar="NUMBER", help="Only events after this number.")
@shared_options
@click.pass_obj
def watch(session: Session, task_id: str, after: int) -> None:
    """Show the events of a task's tree, to the end of its latest run; with --json one object per line."""
    session.reach(Watch(task_id, after, json=session.json), again=True)


@define
class Watch:
    """Shows events; called again, it goes on after the last one."""

    task_id: str
    after: int
    json: bool

    async def __call__(self, engine: Operations) -> None:
        """Show them to the end."""
        tree = await engine.call("tasks.tree", {"task_id": self.task_id, "flat": True}, Caller.local())
        running = await engine.call("tasks.running.status", {"task_ids": [tree["id"]]}, Caller.local())
        lives = running["tasks"][0]["running"] or tree["status"] in SETTLED
        show = _as_json() if self.json else Lines(labels(tree["tasks"]), click.echo).show
        async with aclosing(engine.watch(tree["id"], self.after) if lives else _stored(engine, tree, self.after)) as events:  # type: ignore[type-var]
            async for event in events:
                self.after = event.seq
                show(event)


async def _stored(engine: Operations, tree: Json, after: int) -> AsyncGenerator[Event, None]:
    """The events of a tree that nobody runs: nothing will follow them."""
    from apflow.remote import as_event  # noqa: PLC0415 - loads asyncio

    while after < tree["last_event"]:
        page = await engine.call("tasks.events", {"task_id": tree["id"], "after": after}, Caller.local())
        for event in page["events"]:
            after = event["seq"]
            yield as_event(event)
    say(f"the tree is {tree['status']}, and not being run")


def _as_json() -> Callable[[Event], None]:
    from apflow.operations.views import event_view  # noqa: PLC0415 - loads msgspec

    return lambda event: print_json_line(event_view(event))
