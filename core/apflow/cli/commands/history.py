"""`apflow tasks history`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from apflow.cli.following import ended
from apflow.cli.output import compact, print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import table
from apflow.cli.text import duration, moment
from apflow_hookspecs import Json

SHOWN = 80
"""Characters of a result that are shown."""


@click.command("history")
@click.argument("task_id", metavar="ID")
@shared_options
@click.pass_obj
def history(session: Session, task_id: str) -> None:
    """Show every attempt of a task in every run; --json has inputs, results and errors whole."""
    past = session.call("tasks.history", task_id=task_id)
    if session.json:
        print_json(past)
    else:
        header = ("run", "attempt", "outcome", "started", "took", "plugin", "came to")
        print_lines(table(header, [_row(attempt) for attempt in past["attempts"]]))


def _row(attempt: Mapping[str, Json]) -> tuple[object, ...]:
    return (
        attempt["run"],
        attempt["attempt"],
        attempt["outcome"].replace("_", " "),
        moment(attempt["started_at"]),
        _took(attempt["started_at"], attempt["ended_at"]),
        attempt["plugin"],
        _came_to(attempt),
    )


def _took(start: str | None, end: str | None) -> str | None:
    if start is None or end is None:
        return None
    return duration((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def _came_to(attempt: Mapping[str, Json]) -> str | None:
    if (error := attempt["error"]) is not None:
        after = error.get("retry_after")
        return f"{ended('', error).removeprefix(': ')}{'' if after is None else f'; tried again after {duration(after)}'}"
    if attempt["result"] is None:
        return None
    text = compact(attempt["result"])
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
