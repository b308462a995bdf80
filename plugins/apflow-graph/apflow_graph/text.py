"""A tree as text: its outline, and for each task its wave and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from apflow_graph.escaping import columns, cut, plain
from apflow_graph.looks import LOOKS, present
from apflow_graph.model import Edge, Graph, Node

WIDEST = 40
"""Columns that are aligned at most for the outline; what is wider stands out."""
DEEPEST = 8
"""Levels that are indented; what is deeper says its level instead, so that a tree as deep as it is large stays readable."""
LEAST = 24
"""Columns that names, and what is waited for, get at least, however narrow the terminal is."""

Paint = Callable[[str, str], str]


def _unpainted(text: str, _: str) -> str:
    return text


def lines(graph: Graph, width: int = 80, paint: Paint = _unpainted) -> Iterator[str]:
    """The lines of a drawing, in O(V+E).

    Args:
        graph: What is drawn.
        width: Columns that there are.
        paint: Gives a text the colour of a status.
    """
    numbers = len(str(max(graph.waves)))
    room = max(LEAST, width - numbers - 2)
    rows = [(n, cut(f"{branch}{_titled(graph.nodes[n])}", room), len(branch)) for n, branch in _outline(graph)]
    aligned = min(WIDEST, max(columns(title) for _, title, _ in rows))
    for n, title, indent in rows:
        node, edges = graph.nodes[n], graph.incoming[n]
        wave = "" if node.executor is None else graph.waves[n]
        line = f"{wave:>{numbers}}  {title[:indent]}{paint(title[indent:], node.status)}"
        used = columns(title)
        if edges:
            line += " " * (max(aligned, used) - used) + f"  ← {_awaited(graph, edges, room - max(aligned, used) - 4)}"
        yield line
    yield ""
    yield " " * (numbers + 2) + "  ".join(_legend(graph, paint))


def _legend(graph: Graph, paint: Paint) -> Iterator[str]:
    for status in present(graph.nodes):
        yield paint(f"{LOOKS[status].sign} {status.replace('_', ' ')}", status)
    if graph.edges:
        yield "← waits for"
    if not all(edge.required for edge in graph.edges):
        yield "? optional"


def _titled(node: Node) -> str:
    return f"{LOOKS[node.status].sign} {plain(node.label)}"


def _outline(graph: Graph) -> Iterator[tuple[int, str]]:
    """Each node with the branches that lead to it; iterative, for a tree may be as deep as it has tasks."""
    ahead = [(n, 0, "", "") for n in reversed(graph.tops)]
    while ahead:
        n, depth, branch, indent = ahead.pop()
        yield n, branch
        depth += 1
        shallow = depth <= DEEPEST
        before = indent if shallow else f"{indent}⋯{depth} "
        for place, child in enumerate(reversed(graph.children[n])):
            turn, line = ("├── ", "│   ") if place else ("└── ", "    ")
            ahead.append((child, depth, f"{before}{turn}", f"{indent}{line}" if shallow else indent))


def _awaited(graph: Graph, edges: Iterable[Edge], room: int) -> str:
    """What a task waits for, as far as there is room; the rest is counted."""
    names = [_named(graph, edge) for edge in edges]
    shown = ""
    for place, name in enumerate(names):
        longer = f"{shown}, {name}" if shown else name
        more = len(names) - place - 1
        if shown and columns(longer) + (len(f" and {more} more") if more else 0) > max(room, LEAST):
            return f"{shown} and {more + 1} more"
        shown = longer
    return shown


def _named(graph: Graph, edge: Edge) -> str:
    name = cut(plain(graph.nodes[edge.source].key), WIDEST)
    paths = "".join(f" {cut(plain(path), LEAST)}" for path in edge.paths)
    return f"{name}{paths}{'' if edge.required else '?'}"
