"""A tree as text: its outline, and for each task its wave and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from apflow_graph.escaping import columns, cut, plain
from apflow_graph.looks import LOOKS, present
from apflow_graph.model import Edge, Graph, Node

WIDEST = 40
"""Columns of the outline that are aligned at most; what is wider stands out."""
DEEPEST = 5
"""Levels that are indented; what is deeper says its level instead, so that a tree as deep as it is large stays readable."""
LEAST = 24
"""Columns that a task, and what it waits for, get at least, however narrow the terminal is."""
ARROW = "  ← "

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
    room = width - numbers - 2
    rows = []
    for n, branch in _outline(graph):
        own = room - LEAST - len(ARROW) if graph.incoming[n] else room
        rows.append((n, len(branch), cut(f"{branch}{_titled(graph.nodes[n])}", max(LEAST, own))))
    aligned = min(WIDEST, max(columns(shown) for _, _, shown in rows))
    for n, indent, shown in rows:
        node = graph.nodes[n]
        wave = "" if node.executor is None else graph.waves[n]
        line = f"{wave:>{numbers}}  {shown[:indent]}{paint(shown[indent:], node.status)}"
        if graph.incoming[n]:
            used = max(aligned, columns(shown))
            awaited = _awaited(graph, graph.incoming[n], max(LEAST, room - used - len(ARROW)))
            line += f"{' ' * (used - columns(shown))}{ARROW}{awaited}"
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


def _awaited(graph: Graph, edges: Sequence[Edge], room: int) -> str:
    """What a task waits for, as far as there is room; the rest is counted."""
    shown = ""
    for place, edge in enumerate(edges):
        rest = len(edges) - place - 1
        name = _named(graph, edge)
        longer = f"{shown}, {name}" if shown else cut(name, room - len(_more(rest)))
        if columns(longer) + len(_more(rest)) > room:
            return f"{shown}{_more(rest + 1)}"
        shown = longer
    return shown


def _more(count: int) -> str:
    return f" and {count:,} more" if count else ""


def _named(graph: Graph, edge: Edge) -> str:
    paths = "".join(f" {plain(path)}" for path in edge.paths)
    return f"{plain(graph.nodes[edge.source].key)}{paths}{'' if edge.required else '?'}"
