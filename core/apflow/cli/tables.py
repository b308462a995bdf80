"""Tables and trees in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apflow.cli.text import columns, cut
from apflow.escaping import escaped
from apflow_hookspecs import Json

WIDEST = 60
"""Columns that a cell takes at most; the first, which identifies the row, and the last are never cut."""


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The lines of a table, aligned by the width at which a terminal shows them; None is an empty cell."""
    inner = range(1, len(header) - 1)
    cells = [
        [name.upper() for name in header],
        *([_cell(value, short=n in inner) for n, value in enumerate(row)] for row in rows),
    ]
    widths = [max(columns(row[n]) for row in cells) for n in range(len(header))]
    for row in cells:
        yield "  ".join(text + " " * (width - columns(text)) for text, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: object, *, short: bool) -> str:
    text = "" if value is None else escaped(value)
    return cut(text, WIDEST) if short else text


def fields(values: Mapping[str, object]) -> Iterator[str]:
    """The lines `name  value`, aligned; None values are left out."""
    shown = {name: value for name, value in values.items() if value is not None}
    width = max((columns(name) for name in shown), default=0)
    for name, value in shown.items():
        yield f"{name}{' ' * (width - columns(name))}  {escaped(value)}".rstrip()


def outline(root: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """A nested task (`{…, "children": […]}`) as lines: the branches that lead to each task, and the task.

    Iterative: a tree may be as deep as it has tasks.
    """
    pending: list[tuple[str, str, Mapping[str, Json]]] = [("", "", root)]
    while pending:
        branch, indent, task = pending.pop()
        yield branch, task
        children = task.get("children") or ()
        last = len(children) - 1
        pending.extend(
            (f"{indent}└── " if n == last else f"{indent}├── ", f"{indent}    " if n == last else f"{indent}│   ", child)
            for n, child in reversed(list(enumerate(children)))
        )


def nested(tasks: Sequence[Mapping[str, Json]], top: str | None = None) -> dict[str, Json]:
    """The flat tasks of a tree as one nested task: the root, or the task of the id `top`, with `children` at each."""
    nodes = {task["id"]: {**task, "children": []} for task in tasks}
    for node in nodes.values():
        if node["parent_id"] is not None:
            nodes[node["parent_id"]]["children"].append(node)
    return nodes[top] if top is not None else next(node for node in nodes.values() if node["parent_id"] is None)
