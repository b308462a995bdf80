"""Running a stored tree to its end, and showing how it goes."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click

from apflow.cli.failures import ExitCode
from apflow.cli.following import Follower, Lines, Silent, labels
from apflow.cli.output import print_json, print_lines
from apflow.cli.summary import summary
from apflow.cli.text import duration
from apflow.operations.views import TreeView, tree_view
from apflow_hookspecs import Caller, TaskStatus

if TYPE_CHECKING:
    from apflow.engine import Engine


async def run_to_end(engine: Engine, task_id: str, *, within: float | None = None, json: bool = False) -> ExitCode:
    """Execute a stored task or tree here, show it while it runs, and print what became of it.

    Args:
        engine: The engine that runs it.
        task_id: What is executed; a root's id means the whole tree.
        within: Seconds after which the tree is cancelled.
        json: Only the settled tree is printed, as JSON.

    Returns:
        `DONE` when the tree completed, else `INCOMPLETE`.
    """
    before = await engine.tree(task_id)
    await engine.call("tasks.execute", {"task_id": task_id}, Caller.local())
    with follower(tree_view(before), json=json) as shown:
        in_time = await _follow(engine, before.id, shown, before.last_event, within)
    if not in_time:
        click.echo(f"error: not done within {duration(within or 0)}, and cancelled", err=True)
    settled = tree_view(await engine.manager.wait(before.id))
    if json:
        print_json(settled)
    else:
        print_lines(summary(settled))
    return ExitCode.DONE if settled["status"] == TaskStatus.COMPLETED else ExitCode.INCOMPLETE


def follower(tree: TreeView, *, json: bool) -> Follower:
    """What shows a run here: nothing for machines, a live tree on a terminal with rich, else plain lines."""
    if json:
        return Silent()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            from apflow.cli.live import LiveTree  # noqa: PLC0415 - rich is an extra
        except ModuleNotFoundError:
            pass
        else:
            return LiveTree(tree)
    return Lines(labels(tree["tasks"]), click.echo)


async def _follow(engine: Engine, tree_id: str, shown: Follower, after: int, within: float | None) -> bool:
    """Show what happens to the end of the run; whether it came in time, else the tree was cancelled."""
    seen = after
    try:
        async with asyncio.timeout(within):
            async for event in engine.watch(tree_id, seen):
                seen = event.seq
                shown.show(event)
    except TimeoutError:
        await engine.call("tasks.cancel", {"task_id": tree_id}, Caller.local())
        async for event in engine.watch(tree_id, seen):
            shown.show(event)
        return False
    return True
