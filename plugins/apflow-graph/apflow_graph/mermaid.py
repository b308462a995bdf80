"""A tree as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html), as GitHub and many editors show it."""

from __future__ import annotations

from collections.abc import Iterator

from apflow_graph.escaping import cut, mermaid, plain
from apflow_graph.looks import LOOKS, present
from apflow_graph.model import Edge, Graph

LONGEST = 80
"""Columns of a name that are shown."""


def lines(graph: Graph) -> Iterator[str]:
    """The lines of the flowchart: what holds others is a subgraph, an optional dependency a dotted arrow."""
    yield "flowchart LR"
    yield from _nodes(graph)
    yield from (f"  {_arrow(edge)}" for edge in graph.edges)
    for status in present(graph.nodes):
        members = ",".join(f"n{n}" for n, node in enumerate(graph.nodes) if node.status == status)
        yield f"  classDef {status} stroke:{LOOKS[status].light},stroke-width:2px"
        yield f"  class {members} {status}"


def _nodes(graph: Graph) -> Iterator[str]:
    """Iterative: a tree may be as deep as it has tasks. None stands for the end of a subgraph."""
    ahead: list[int | None] = list(reversed(graph.tops))
    depth = 1
    while ahead:
        n = ahead.pop()
        if n is None:
            depth -= 1
            yield f"{_indent(depth)}end"
            continue
        if graph.children[n]:
            title = _label(graph, n) if graph.is_frame(n) else mermaid(f"under {_cut(graph.nodes[n].label)}")
            yield f'{_indent(depth)}subgraph {"n" if graph.is_frame(n) else "f"}{n}["{title}"]'
            depth += 1
            ahead.append(None)
            ahead.extend(reversed(graph.children[n]))
        if not graph.is_frame(n):
            yield f'{_indent(depth)}n{n}["{_label(graph, n)}"]'


def _indent(depth: int) -> str:
    return "  " * min(depth, 8)


def _cut(text: str) -> str:
    return cut(plain(text), LONGEST)


def _label(graph: Graph, n: int) -> str:
    node = graph.nodes[n]
    return f"{LOOKS[node.status].sign} {mermaid(_cut(node.label))}"


def _arrow(edge: Edge) -> str:
    line = "-->" if edge.required else "-.->"
    label = f'|"{mermaid(_cut(", ".join(edge.paths)))}"|' if edge.paths else ""
    return f"n{edge.source} {line}{label} n{edge.target}"
