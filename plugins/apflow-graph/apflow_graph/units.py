"""What a drawing is made of: boxes, the frames around them, and the bends of edges that pass columns by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Self

from attrs import define, field

from apflow_graph.model import Edge, Graph


@define(eq=False)
class Unit:
    """A box, a frame or a bend; siblings never overlap.

    Args:
        frame: In which it stands; None for the whole drawing.
        first: Leftmost column, from 0.
        last: Rightmost column.
        height: Of a frame, once what is in it is placed.
        top: Distance from the top of what is in its frame.
        rank: Orders it among its siblings, top down.
        title: Height that a frame needs above what is in it.
        bend: Whether it is a bend.
    """

    frame: Unit | None
    first: int = 0
    last: int = 0
    height: float = 0.0
    top: float = 0.0
    rank: float = 0.0
    title: float = 0.0
    bend: bool = False
    depth: int = field(init=False)
    inner: list[Unit] = field(factory=list, init=False)
    before: list[Unit] = field(factory=list, init=False)
    after: list[Unit] = field(factory=list, init=False)
    path: tuple[tuple[float, int], ...] = field(default=(), init=False)

    def __attrs_post_init__(self) -> None:
        self.depth = 0 if self.frame is None else self.frame.depth + 1
        if self.frame is not None:
            self.frame.inner.append(self)


@define(eq=False)
class Units:
    """The units of a graph.

    Args:
        whole: The frame of the whole drawing.
        boxes: By node; None for a group, which has a frame only.
        frames: By node; None where nothing is in it.
        routes: The bends of each edge.
    """

    whole: Unit
    boxes: list[Unit | None] = field(factory=list)
    frames: list[Unit | None] = field(factory=list)
    routes: list[list[Unit]] = field(factory=list)

    @classmethod
    def of(cls, graph: Graph, heights: Sequence[float], title: float, bend: float) -> Self:
        """Boxes in the columns of their waves, all frames, and a chain of bends for each source of long edges.

        Args:
            graph: What is drawn.
            heights: Of each node's box.
            title: Height of a frame's title.
            bend: Height that a bend keeps free.
        """
        units = cls(Unit(None))
        size = len(graph.nodes)
        units.boxes, units.frames = [None] * size, [None] * size
        for n in downwards(graph):
            parent = graph.nodes[n].parent
            around = units.whole if parent is None else units.frames[parent]
            if graph.children[n]:
                around = units.frames[n] = Unit(around, title=title)
            if not graph.is_frame(n):
                column = graph.waves[n] - 1
                units.boxes[n] = Unit(around, column, column, heights[n])
        for frame in frames_upwards(units.whole):
            frame.first = min(unit.first for unit in frame.inner)
            frame.last = max(unit.last for unit in frame.inner)
        units._bend(graph.edges, bend)
        return units

    def source(self, edge: Edge) -> Unit:
        """Where an edge starts: at a task's box, or at a group's frame."""
        box = self.boxes[edge.source] or self.frames[edge.source]
        assert box is not None  # noqa: S101 - every node has one of the two
        return box

    def target(self, edge: Edge) -> Unit:
        """Where an edge ends: who waits works, and has a box."""
        box = self.boxes[edge.target]
        assert box is not None  # noqa: S101 - a group waits for nothing
        return box

    def _bend(self, edges: Sequence[Edge], height: float) -> None:
        long: dict[tuple[int, bool], list[Edge]] = {}
        for edge in edges:
            if self.target(edge).first - self.source(edge).last > 1:
                long.setdefault((edge.source, edge.required), []).append(edge)
        # Edges from one source share their bends: else a thousand that wait for the first would be a million bends.
        chains = {shared: list(self._chain(found, height)) for shared, found in long.items()}
        linked: set[tuple[Unit, Unit]] = set()
        for edge in edges:
            chain = chains.get((edge.source, edge.required), ())
            stretch = [self.source(edge), *(bend for bend in chain if bend.first < self.target(edge).first), self.target(edge)]
            self.routes.append(stretch[1:-1])
            for left, right in pairwise(stretch):
                if (left, right) not in linked:
                    linked.add((left, right))
                    left.after.append(right)
                    right.before.append(left)

    def _chain(self, edges: Sequence[Edge], height: float) -> Iterator[Unit]:
        source = self.source(edges[0])
        around = source.frame
        for edge in edges:
            around = common_frame(around, self.target(edge).frame)
        for column in range(source.last + 1, max(self.target(edge).first for edge in edges)):
            yield Unit(around, column, column, height, bend=True)


def downwards(graph: Graph) -> list[int]:
    """The nodes, each before all that is in it."""
    order = list(graph.tops)
    for n in order:
        order.extend(graph.children[n])
    return order


def frames_upwards(whole: Unit) -> list[Unit]:
    """The frames, each after all that are in it."""
    order = [whole]
    for frame in order:
        order.extend(unit for unit in frame.inner if unit.inner)
    return order[::-1]


def common_frame(one: Unit | None, other: Unit | None) -> Unit | None:
    """The innermost frame that holds both or is one of them."""
    while one is not other:
        if other is None or (one is not None and one.depth > other.depth):
            one, other = other, one
        other = other.frame if other is not None else None
    return one
