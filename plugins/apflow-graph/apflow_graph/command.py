"""`apflow graph`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Protocol

import click

from apflow_graph import mermaid as flowchart
from apflow_graph import svg, text
from apflow_graph.escaping import plain
from apflow_graph.looks import LOOKS
from apflow_graph.model import Graph, graph_of
from apflow_hookspecs import Json
from apflow_hookspecs.errors import InvalidParams, NotFound, shortened

STDIN = "-"
BAD_INPUT = 2
WIDTH = 80
"""Columns of a text that goes to a file."""


class Session(Protocol):
    """What the program hands to a command (see `apflow_hookspecs.Command`)."""

    json: bool

    def call(self, operation: str, **params: Json) -> Json:
        """The answer to one operation."""
        ...


@click.command("graph")
@click.argument("source", metavar="ID|FILE|-")
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
@click.option("--svg", "as_svg", is_flag=True, help="As an SVG document.")
@click.option("-o", "--output", metavar="FILE", help="Write to a file.")
@click.pass_obj
def graph(session: Session, source: str, *, mermaid: bool, as_svg: bool, output: str | None) -> None:
    """Draw a tree: who is under whom, how each task stands, and what it waits for.

    Takes the id of a stored task, which is drawn with all that is under it, or a JSON file of tasks, which are not stored. A
    file goes before an id of the same name. Exit code 2 when something is wrong with the tasks of a file.
    """
    forms = [form for form, wanted in (("json", session.json), ("mermaid", mermaid), ("svg", as_svg)) if wanted]
    if len(forms) > 1:
        raise click.UsageError(f"--{forms[0]} and --{forms[1]} are two forms; leave one of them out")
    drawn = _of_file(session, source) if _is_file(source) else _of_stored(session, source)
    width = shutil.get_terminal_size().columns if output is None else WIDTH
    document = _document(drawn, forms[0] if forms else None, width)
    if output is None:
        click.echo(document, nl=False)
    else:
        _write(document, output)


def _write(document: str, file: str) -> None:
    try:
        Path(file).write_text(click.unstyle(document), encoding="utf-8")
    except OSError as error:
        raise InvalidParams(f"--output = {shortened(file)}: cannot be written: {error.strerror}") from None


def _is_file(source: str) -> bool:
    return source == STDIN or os.path.exists(source)  # noqa: PTH110 - pathlib's raises when the name is too long for a file


def _of_stored(session: Session, task_id: str) -> Graph:
    try:
        tree = session.call("tasks.tree", task_id=task_id, flat=True)
    except NotFound:
        raise NotFound(f"{shortened(task_id)}: there is neither a file nor a task of that name") from None
    return graph_of(tree["tasks"], task_id)


def _of_file(session: Session, file: str) -> Graph:
    report = session.call("tasks.validate", tasks=_tasks(file), fresh_ids=True, tree=True)
    for severity, found in (("warning", report["warnings"]), ("error", report["problems"])):
        for problem in found:
            click.echo(f"{severity}: {plain(problem['message'])}", err=True)
    if not report["valid"]:
        raise click.exceptions.Exit(BAD_INPUT)
    return graph_of(report["tree"]["tasks"])


def _tasks(file: str) -> Json:
    """The tasks in a file: an array, an object `{"tasks": […]}`, or a single task."""
    name = "standard input" if file == STDIN else file
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        document = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise InvalidParams(f"{name}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidParams(f"{name}: not JSON: {error}") from None
    if isinstance(document, dict):
        document = document.get("tasks", [document])
    if not isinstance(document, list):
        raise InvalidParams(f"{name}: must hold an array of tasks, and holds {shortened(document)}")
    return document


def _document(drawn: Graph, form: str | None, width: int) -> str:
    match form:
        case "json":
            # Readers take the escape of DEL for the character itself; a terminal need not see that.
            return json.dumps(drawn.as_json(), indent=2).replace("\x7f", "\\u007f") + "\n"
        case "svg":
            return svg.document(drawn)
        case "mermaid":
            return "".join(f"{line}\n" for line in flowchart.lines(drawn))
        case _:
            return "".join(f"{line}\n" for line in text.lines(drawn, width, _paint))


def _paint(shown: str, status: str) -> str:
    return click.style(shown, **LOOKS[status].terminal)
