"""A layered drawing: a column for each wave, so that what waits stands to the right of what it waits for.

Where a group is waited for, its edges start at its frame. No two boxes overlap, no edge runs under a box, and a frame holds
exactly what is in it. The same graph always gives the same drawing.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from apflow_graph.model import Graph
from apflow_graph.ordering import order
from apflow_graph.placing import place
from apflow_graph.units import Unit, Units, frames_upwards

Point = tuple[float, float]


@frozen
class Sizes:
    """Measures, in one unit of length.

    Args:
        widths: Of each node's box.
        heights: Of each node's box.
        labels: Width of the label of each edge; 0 has none.
        column_gap: Between columns, for the turns of edges.
        row_gap: Between boxes of one column.
        padding: Between a frame and what is in it.
        title: Height of a frame's title.
        bend: Height that an edge keeps free where it passes a column.
    """

    widths: Sequence[float]
    heights: Sequence[float]
    labels: Sequence[float]
    column_gap: float = 48
    row_gap: float = 14
    padding: float = 12
    title: float = 20
    bend: float = 8


@frozen
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@frozen
class Drawing:
    """Where everything stands.

    Args:
        boxes: Of each node; None for a group with a frame.
        frames: Of each node; None where nothing is in it.
        routes: The points of each edge: from the first it turns to the second, then goes straight to the third, turns to the
            fourth, and so on; the last stretch, to the target, is straight and has room for the label.
    """

    width: float
    height: float
    boxes: tuple[Box | None, ...]
    frames: tuple[Box | None, ...]
    routes: tuple[tuple[Point, ...], ...]


@frozen
class _Columns:
    left: list[float]
    right: list[float]
    turned: list[float]
    """Where the edges that lead to a column have turned: labels and the sides of frames follow."""


def layout(graph: Graph, sizes: Sizes) -> Drawing:
    """Draw a graph."""
    units = Units.of(graph, sizes.heights, sizes.title, sizes.bend)
    order(units.whole)
    place(units.whole, sizes.row_gap, sizes.padding)
    insets = _insets(units.whole)
    columns = _columns(graph, units, sizes, insets)
    tops = _tops(units.whole)
    boxes = {
        id(unit): Box(
            columns.left[unit.first] - insets[id(unit)][0] * sizes.padding,
            tops[id(unit)],
            columns.right[unit.last] - columns.left[unit.first] + sum(insets[id(unit)]) * sizes.padding,
            unit.height,
        )
        for frame in frames_upwards(units.whole)
        for unit in (frame, *frame.inner)
    }
    whole = boxes[id(units.whole)]
    return Drawing(
        whole.width,
        whole.height,
        tuple(None if unit is None else boxes[id(unit)] for unit in units.boxes),
        tuple(None if unit is None else boxes[id(unit)] for unit in units.frames),
        _routes(graph, units, sizes, boxes, columns),
    )


def _insets(whole: Unit) -> dict[int, tuple[int, int]]:
    """How many frames' sides stand between a unit's columns and its own left and right side; 0 for what is no frame."""
    insets: dict[int, tuple[int, int]] = {}
    for frame in frames_upwards(whole):
        for unit in frame.inner:
            insets.setdefault(id(unit), (0, 0))
        left = max(insets[id(unit)][0] for unit in frame.inner if unit.first == frame.first)
        right = max(insets[id(unit)][1] for unit in frame.inner if unit.last == frame.last)
        insets[id(frame)] = (left + 1, right + 1)
    return insets


def _columns(graph: Graph, units: Units, sizes: Sizes, insets: dict[int, tuple[int, int]]) -> _Columns:
    count = units.whole.last + 1
    width, label, before, after = ([0.0] * count for _ in range(4))
    for n, box in enumerate(units.boxes):
        if box is not None:
            width[box.first] = max(width[box.first], sizes.widths[n])
    for edge, room in zip(graph.edges, sizes.labels, strict=True):
        column = units.target(edge).first
        label[column] = max(label[column], room)
    for frame in frames_upwards(units.whole):
        before[frame.first] = max(before[frame.first], insets[id(frame)][0] * sizes.padding)
        after[frame.last] = max(after[frame.last], insets[id(frame)][1] * sizes.padding)
    columns = _Columns([], [], [])
    x = 0.0
    for column in range(count):
        columns.turned.append(x)
        columns.left.append(x + label[column] + before[column])
        columns.right.append(columns.left[column] + width[column])
        x = columns.right[column] + after[column] + sizes.column_gap
    return columns


def _tops(whole: Unit) -> dict[int, float]:
    tops = {id(whole): 0.0}
    for frame in reversed(frames_upwards(whole)):
        tops.update({id(unit): tops[id(frame)] + unit.top for unit in frame.inner})
    return tops


def _routes(
    graph: Graph, units: Units, sizes: Sizes, boxes: dict[int, Box], columns: _Columns
) -> tuple[tuple[Point, ...], ...]:
    ways: list[list[Point]] = []
    for edge, bends in zip(graph.edges, units.routes, strict=True):
        start = boxes[id(units.source(edge))]
        way = [(start.x + start.width, start.y + start.height / 2)]
        for bend in bends:
            y = boxes[id(bend)].y + sizes.bend / 2
            way += [(columns.turned[bend.first], y), (columns.right[bend.first], y)]
        ways.append(way)
    ports = _ports(graph, units, sizes, [way[-1][1] for way in ways])
    for way, edge, port in zip(ways, graph.edges, ports, strict=True):
        target = units.target(edge)
        y = boxes[id(target)].y + port
        way += [(columns.turned[target.first], y), (columns.left[target.first], y)]
    return tuple(map(tuple, ways))


def _ports(graph: Graph, units: Units, sizes: Sizes, levels: Sequence[float]) -> list[float]:
    """How far below its target's top each edge arrives: one with a label at a place of its own, others together.

    Args:
        graph: What is drawn.
        units: Its units.
        sizes: Their measures.
        levels: How far down each edge is before its last turn.
    """
    arriving: dict[int, dict[int, list[int]]] = {}
    for number, edge in enumerate(graph.edges):
        port = number if sizes.labels[number] else -1 - edge.required
        arriving.setdefault(edge.target, {}).setdefault(port, []).append(number)
    insets = [0.0] * len(graph.edges)
    for ports in arriving.values():
        downwards = sorted(ports.values(), key=lambda together: sum(levels[number] for number in together) / len(together))
        for nth, together in enumerate(downwards, 1):
            for number in together:
                insets[number] = units.target(graph.edges[number]).height * nth / (len(downwards) + 1)
    return insets
