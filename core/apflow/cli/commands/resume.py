"""`apflow resume`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from apflow.cli.output import print_json, print_lines, say
from apflow.cli.session import Session, shared_options
from apflow.cli.summary import summary
from apflow.cli.text import plural
from apflow.escaping import escaped
from apflow_hookspecs import Caller, Json
from apflow_hookspecs.errors import InvalidTransition

if TYPE_CHECKING:
    from apflow.cli.reaching import Operations


@click.command("resume")
@click.argument("task_id", metavar="[ID]", required=False)
@shared_options
@click.pass_context
def resume(ctx: click.Context, task_id: str | None) -> None:
    """Go on with what an earlier process was asked to run, all of it or one tree, to the end.

    Exit code 0 when all of it completed or there is nothing to go on with, 1 when it did not complete, 5 when some of it
    stopped at a question that nobody here answers, 130 when interrupted.
    """
    from apflow.cli.running import Pursuit, flat, plain  # noqa: PLC0415 - loads what runs trees
    from apflow.engine import Engine  # noqa: PLC0415 - likewise
    from apflow.remote import RemoteEngine  # noqa: PLC0415 - likewise

    session: Session = ctx.obj

    async def begin(engine: Operations) -> list[Json]:
        recovered = engine.recovered.ended if isinstance(engine, Engine) else ()
        ended = [tree.id for tree in recovered if task_id in (None, tree.id)]
        roots = await _resumed(engine, task_id, ended)
        if roots and isinstance(engine, RemoteEngine):
            say(f"{engine.place} runs {plural(len(roots), 'tree')} that {'is' if len(roots) == 1 else 'are'} shown here")
        return [await flat(engine, tree_id) for tree_id in [*ended, *(root["id"] for root in roots)]]

    def end(trees: Sequence[Json]) -> None:
        if session.json:
            print_json({"trees": [plain(tree) for tree in trees]})
            return
        for tree in trees:
            print_lines(summary(tree))

    with Pursuit(begin, json=session.json, mine=False, resumable=True, end=end) as pursuit:
        ctx.exit(session.follow(pursuit))


async def _resumed(engine: Operations, task_id: str | None, ended: Sequence[str]) -> list[Json]:
    """The roots of the trees that go on; it was said already what came to its end when the storage was opened."""
    if task_id in ended:
        return []
    try:
        answer = await engine.call("tasks.resume", {} if task_id is None else {"task_id": task_id}, Caller.local())
    except InvalidTransition as error:
        say(escaped(error.message))
        return []
    if not answer["tasks"] and not ended:
        say("there is nothing to go on with")
    roots: list[Json] = answer["tasks"]
    return roots
