"""`apflow tasks validate`, and what a dry run prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from apflow.cli.failures import ExitCode
from apflow.cli.output import print_json, print_lines, say
from apflow.cli.reading import read_tasks
from apflow.cli.session import Session, shared_options
from apflow.cli.text import cut, plural
from apflow.escaping import escaped
from apflow_hookspecs import Json

SHOWN = 20
"""Waves that are shown, and tasks of one wave."""

ENDS = 4
"""Tasks that are shown from each end of a long chain."""

WIDEST = 40
"""Columns that the key of a task takes."""


@click.command("validate")
@click.argument("file", metavar="FILE|-")
@click.option("--keep-ids/--fresh-ids", default=True, help="Take the ids of the file (the default), or make new ones.")
@shared_options
@click.pass_context
def validate(ctx: click.Context, file: str, *, keep_ids: bool) -> None:
    """Check the tasks of a JSON file (- is standard input), and print the plan; nothing is stored.

    Exit code 2 when something is wrong with them.
    """
    ctx.exit(judged(ctx.obj, read_tasks(file), fresh_ids=not keep_ids))


def judged(session: Session, tasks: Sequence[Json], *, fresh_ids: bool) -> ExitCode:
    """Print what creating tasks would refuse: all problems and warnings, on standard error; and, of a valid tree, the plan."""
    report = session.call("tasks.validate", tasks=tasks, fresh_ids=fresh_ids)
    if session.json:
        print_json(report)
    else:
        for severity, found in (("warning", report["warnings"]), ("error", report["problems"])):
            for problem in found:
                say(f"{severity}: {escaped(problem['message'])}")
        if report["valid"]:
            print_lines(_plan(report["plan"]))
    return ExitCode.DONE if report["valid"] else ExitCode.BAD_INPUT


def _plan(plan: Mapping[str, Json]) -> Iterator[str]:
    waves, chain = plan["waves"], plan["critical_path"]
    longest = f", the longest chain has {len(chain):,}: {_chain(chain)}" if len(chain) > 1 else ""
    yield f"valid: {plural(plan['tasks'], 'task')} in {plural(len(waves), 'wave')}{longest}"
    for n, wave in enumerate(waves[:SHOWN], 1):
        more = f" and {plural(len(wave) - SHOWN, 'more task')}" if len(wave) > SHOWN else ""
        yield f"{n:>3}  {', '.join(_key(key) for key in wave[:SHOWN])}{more}"
    if len(waves) > SHOWN:
        yield f"     and {plural(len(waves) - SHOWN, 'more wave')}; --json shows all"


def _chain(keys: Sequence[str]) -> str:
    shown = [_key(key) for key in keys[:ENDS]]
    left = len(keys) - 2 * ENDS
    if left > 1:
        shown.append(f"… {left:,} more …")
        keys = keys[-2 * ENDS :]
    return " → ".join([*shown, *(_key(key) for key in keys[ENDS:])])


def _key(key: str) -> str:
    return cut(escaped(key), WIDEST)
