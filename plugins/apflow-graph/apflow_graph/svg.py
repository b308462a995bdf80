"""A tree as one SVG document: no script, no font from elsewhere, readable on a light and on a dark ground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apflow_graph.escaping import columns, cut, plain, xml
from apflow_graph.layout import Box, Drawing, Point, Sizes, layout
from apflow_graph.looks import LOOKS, present
from apflow_graph.model import Edge, Graph, Node
from apflow_graph.style import style
from apflow_graph.units import downwards
from apflow_hookspecs.errors import TooLarge

MOST = 2000
"""Tasks that are drawn at most."""
MOST_WAVES = 1_000_000
"""Waves that the edges of a drawing cross at most, in all."""
LONGEST, LONGEST_PATH = 32, 24
"""Columns of a name and of a path that are shown; titles have them whole."""

_COLUMN, _SMALL = 7.6, 6.3  # width of a column of text, as wide as common fonts draw it
_HEIGHT, _PORT, _MARGIN, _LEGEND, _TIP, _LEVEL = 42, 15, 6, 24, 8, 0.1


def document(graph: Graph) -> str:
    """The document.

    Raises:
        TooLarge: The tree is larger than a drawing can show.
    """
    _check(graph)
    return "\n".join(_lines(graph, layout(graph, _sizes(graph)))) + "\n"


def _check(graph: Graph) -> None:
    advice = "draw a part of it by the id of a task, or leave out --svg: text has no bound"
    if len(graph.nodes) > MOST:
        raise TooLarge(f"--svg draws at most {MOST:,} tasks, and here are {len(graph.nodes):,}; {advice}")
    waves = sum(graph.waves[edge.target] - graph.waves[edge.source] for edge in graph.edges)
    if waves > MOST_WAVES:
        raise TooLarge(f"--svg draws lines across at most {MOST_WAVES:,} waves in all, and here are {waves:,}; {advice}")


def _sizes(graph: Graph) -> Sizes:
    labelled = [sum(1 for edge in edges if edge.paths) for edges in graph.incoming]
    return Sizes(
        widths=[max(_width(_name(node)), _width(_more(node), _SMALL)) + 40 for node in graph.nodes],
        heights=[max(_HEIGHT, _PORT * (count + 2)) for count in labelled],
        labels=[_width(_path(edge), _SMALL) + 2 * _TIP if edge.paths else 0 for edge in graph.edges],
    )


def _width(text: str, column: float = _COLUMN) -> float:
    return columns(text) * column


def _name(node: Node) -> str:
    return cut(plain(node.label), LONGEST)


def _more(node: Node) -> str:
    return cut(plain(node.executor or "group"), LONGEST)


def _path(edge: Edge) -> str:
    return cut(plain(", ".join(edge.paths)), LONGEST_PATH)


def _lines(graph: Graph, drawing: Drawing) -> Iterator[str]:
    legend, legend_width = _legend(graph)
    width = max(drawing.width, legend_width) + 2 * _MARGIN
    height = drawing.height + _LEGEND + 2 * _MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    yield f"<title>{xml(', '.join(graph.nodes[n].label for n in graph.tops))}</title>"
    yield f"<style>\n{style(present(graph.nodes))}\n</style>"
    yield f'<rect class="ground" x="{-_MARGIN}" y="{-_MARGIN}" width="100%" height="100%"/>'
    for n in downwards(graph):
        if (frame := drawing.frames[n]) is not None:
            yield from _frame(graph, n, frame)
    for edge, route in zip(graph.edges, drawing.routes, strict=True):
        yield from _edge(graph, edge, route)
    for node, box in zip(graph.nodes, drawing.boxes, strict=True):
        if box is not None:
            yield from _box(node, box)
    yield f'<g transform="translate(0 {drawing.height + _LEGEND - _MARGIN:.0f})">{legend}</g>'
    yield "</svg>"


def _rect(name: str, box: Box, radius: int) -> str:
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    return f'<rect class="{name}" {place} rx="{radius}"/>'


def _text(name: str, x: float, y: float, text: str, more: str = "") -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}"{more}>{xml(text)}</text>'


def _told(node: Node) -> str:
    error = f": {node.error}" if node.error else ""
    return f"<title>{xml(f'{node.label}: {_said(node.status)}{error}')}</title>"


def _said(status: str) -> str:
    return status.replace("_", " ")


def _frame(graph: Graph, n: int, box: Box) -> Iterator[str]:
    node = graph.nodes[n]
    room = int((box.width - 36) / _COLUMN)
    yield f'<g class="{node.status}">{_told(node)}'
    yield _rect("frame", box, 10)
    if graph.is_frame(n):
        yield _text("sign", box.x + 10, box.y + 20, LOOKS[node.status].sign)
        yield _text("name", box.x + 26, box.y + 20, cut(plain(node.label), room))
    else:
        yield _text("more", box.x + 10, box.y + 19, cut(f"under {plain(node.label)}", room))
    yield "</g>"


def _box(node: Node, box: Box) -> Iterator[str]:
    middle = box.y + box.height / 2
    yield f'<g class="{node.status}">{_told(node)}'
    yield _rect("box", box, 7)
    yield _text("sign", box.x + 11, middle - 3, LOOKS[node.status].sign)
    yield _text("name", box.x + 28, middle - 3, _name(node))
    yield _text("more", box.x + 28, middle + 13, _more(node))
    yield "</g>"


def _edge(graph: Graph, edge: Edge, route: Sequence[Point]) -> Iterator[str]:
    x, y = route[-1]
    kind = "edge" if edge.required else "edge optional"
    needs = "" if edge.required else " (optional)"
    label = f"{graph.nodes[edge.source].label} → {graph.nodes[edge.target].label}{needs} {', '.join(edge.paths)}"
    yield f"<g><title>{xml(label.rstrip())}</title>"
    yield f'<path class="{kind}" d="{_curve([*route[:-1], (x - _TIP, y)])}"/>'
    yield f'<path class="tip" d="M{x:.1f} {y:.1f}l-{_TIP} -4v8z"/>'
    if edge.paths:
        yield _text("path", route[-2][0] + _TIP / 2, y - 4, _path(edge))
    yield "</g>"


def _curve(route: Sequence[Point]) -> str:
    """Turns between columns, straight lines past and into them."""
    (x, y), *rest = route
    drawn = [f"M{x:.1f} {y:.1f}"]
    for (turned, level), (straight, _) in zip(rest[::2], rest[1::2], strict=True):
        if abs(level - y) >= _LEVEL:
            middle = (x + turned) / 2
            drawn.append(f"H{x:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {level:.1f} {turned:.1f} {level:.1f}")
            y = level
        x = straight
    return f"{''.join(drawn)}H{x:.1f}"


def _legend(graph: Graph) -> tuple[str, float]:
    """What the signs and lines mean, and how wide that is."""
    drawn, x = [], float(2 * _MARGIN)
    for status in present(graph.nodes):
        sign, name = _text("sign", x, 0, LOOKS[status].sign), _text("more", x + 15, 0, _said(status))
        drawn.append(f'<g class="{status}">{sign}{name}</g>')
        x += _width(status, _SMALL) + 36
    if not all(edge.required for edge in graph.edges):
        drawn.append(f'<path class="edge optional" d="M{x:.1f} -4h30"/>{_text("more", x + 37, 0, "optional")}')
        x += _width("optional", _SMALL) + 58
    return "".join(drawn), x
