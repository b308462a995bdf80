"""Where everything stands, whatever the tree."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apflow_graph.layout import Sizes, layout
from apflow_graph.model import Edge, Graph, Node


def inside(nodes, n, around):
    """Whether a node stands in another, or is it."""
    while n is not None and n != around:
        n = nodes[n].parent
    return n == around


@st.composite
def graphs(draw):
    """Trees with groups, working parents, and edges that follow some order of the working tasks."""
    size = draw(st.integers(1, 14))
    parents = [None] + [draw(st.integers(0, n - 1)) for n in range(1, size)]
    groups = [n in parents and draw(st.booleans()) for n in range(size)]
    nodes = tuple(Node(f"n{n}", f"n{n}", f"n{n}", "pending", None if groups[n] else "echo", parents[n]) for n in range(size))
    place = dict(zip(range(size), draw(st.permutations(range(size))), strict=True))
    last = [
        max(place[n] for n in range(size) if inside(nodes, n, m) and not groups[n]) if groups[m] else place[m]
        for m in range(size)
    ]
    pairs = [
        (source, target)
        for source in range(size)
        for target in range(size)
        if not groups[target] and last[source] < place[target] and not (groups[source] and inside(nodes, target, source))
    ]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    return Graph(nodes, tuple(Edge(*pair, draw(st.booleans())) for pair in chosen))


@st.composite
def drawings(draw):
    graph = draw(graphs())
    widths = [draw(st.integers(20, 90)) for _ in graph.nodes]
    heights = [draw(st.integers(10, 60)) for _ in graph.nodes]
    labels = [draw(st.sampled_from([0, 30])) for _ in graph.edges]
    return graph, layout(graph, Sizes(widths, heights, labels))


def overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def holds(frame, box):
    return (
        frame.x < box.x
        and box.x + box.width < frame.x + frame.width
        and frame.y < box.y
        and box.y + box.height < frame.y + frame.height
    )


@given(drawings())
def test_what_waits_stands_right_of_what_it_waits_for(drawn):
    graph, drawing = drawn
    for edge in graph.edges:
        source = drawing.boxes[edge.source] or drawing.frames[edge.source]
        assert source.x + source.width < drawing.boxes[edge.target].x


@given(drawings())
def test_no_two_boxes_overlap(drawn):
    _, drawing = drawn
    assert not [pair for pair in combinations([box for box in drawing.boxes if box], 2) if overlap(*pair)]


@given(drawings())
def test_a_frame_holds_what_is_in_it_and_touches_nothing_else(drawn):
    graph, drawing = drawn
    for n, frame in enumerate(drawing.frames):
        for other, box in enumerate(drawing.boxes):
            if frame is None or box is None:
                continue
            if inside(graph.nodes, other, n):
                assert holds(frame, box)
            else:
                assert not overlap(frame, box)


@given(drawings())
def test_frames_are_nested_or_apart(drawn):
    graph, drawing = drawn
    for (m, one), (n, other) in combinations([(n, frame) for n, frame in enumerate(drawing.frames) if frame], 2):
        if inside(graph.nodes, n, m):
            assert holds(one, other)
        else:
            assert not overlap(one, other)


@given(drawings())
def test_no_edge_runs_under_a_box(drawn):
    _, drawing = drawn
    boxes = [box for box in drawing.boxes if box]
    for route in drawing.routes:
        for (x, y), (further, level) in pairwise(route):
            for box in boxes:
                beside = further <= box.x or box.x + box.width <= x
                straight_past = y == level and not box.y < y < box.y + box.height
                assert beside or straight_past


@given(drawings())
def test_an_edge_runs_from_the_side_of_its_source_to_that_of_its_target_and_never_back(drawn):
    graph, drawing = drawn
    for edge, route in zip(graph.edges, drawing.routes, strict=True):
        source = drawing.boxes[edge.source] or drawing.frames[edge.source]
        target = drawing.boxes[edge.target]
        assert route[0] == (source.x + source.width, source.y + source.height / 2)
        assert route[-1][0] == target.x
        assert target.y < route[-1][1] < target.y + target.height
        assert all(left[0] <= right[0] for left, right in pairwise(route))


@given(drawings())
def test_everything_is_within_the_drawing(drawn):
    _, drawing = drawn
    boxes = [box for box in (*drawing.boxes, *drawing.frames) if box]
    assert all(box.x > 0 and box.x + box.width < drawing.width for box in boxes)
    assert all(box.y > 0 and box.y + box.height < drawing.height for box in boxes)


@given(graphs())
def test_the_same_graph_gives_the_same_drawing(graph):
    sizes = Sizes([50] * len(graph.nodes), [30] * len(graph.nodes), [0] * len(graph.edges))
    assert layout(graph, sizes) == layout(Graph(graph.nodes, graph.edges), sizes)


@pytest.fixture
def level():
    """How far down the middle of each box of a tree stands."""

    def measure(graph):
        drawing = layout(graph, Sizes([50] * len(graph.nodes), [30] * len(graph.nodes), [0] * len(graph.edges)))
        return {node.key: box and box.y + box.height / 2 for node, box in zip(graph.nodes, drawing.boxes, strict=True)}

    return measure


async def test_a_diamond_is_symmetric(graph, level):
    at = level(await graph("diamond"))
    assert at["a"] == pytest.approx(at["d"])
    assert at["b"] + at["c"] == pytest.approx(2 * at["a"])


def test_edges_are_disentangled(level):
    # As written, each of the left crosses all of the right.
    nodes = tuple(Node(str(n), str(n), str(n), "pending", "echo") for n in range(8))
    at = level(Graph(nodes, tuple(Edge(n, 7 - n) for n in range(4))))
    assert all(at[str(n)] == pytest.approx(at[str(7 - n)]) for n in range(4))
