"""`apflow run`."""

from __future__ import annotations

from typing import Any

import click

from apflow.cli.commands.changes import run_new, timeout_option
from apflow.cli.commands.validate import judged
from apflow.cli.reading import read_tasks
from apflow.cli.session import Session, shared_options


@click.command("run")
@click.argument("file", metavar="FILE|-")
@click.option("--keep-ids", is_flag=True, help="Take the ids of the file; by default each run makes new ones.")
@click.option("--dry-run", is_flag=True, help="Check the tasks and print the plan; nothing is stored.")
@click.option("--max-concurrency", type=click.IntRange(1), metavar="NUMBER", help="How many tasks may run at once.")
@timeout_option
@shared_options
@click.pass_context
def run(
    ctx: click.Context, file: str, *, keep_ids: bool, dry_run: bool, max_concurrency: int | None, timeout: float | None
) -> None:
    """Create the tasks of a JSON file (- is standard input), and run them to their end.

    Where another process has the storage open, that one runs them.

    What tasks ask is asked on the terminal. Where nobody there answers, and nothing else is left, the tree stays as it is.

    Exit code 0 when the tree completed, 1 when it did not, 2 when the tasks are refused, 5 when it stopped at a question that
    nobody here answers, 130 when interrupted.
    """
    session: Session = ctx.obj
    tasks = read_tasks(file)
    if dry_run:
        ctx.exit(judged(session, tasks, fresh_ids=not keep_ids))
    options: dict[str, Any] = {} if max_concurrency is None else {"max_concurrency": max_concurrency}

    ctx.exit(run_new(session, tasks, fresh_ids=not keep_ids, timeout=timeout, **options))
