"""Each form of each tree."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from samples import group, task

from apflow_graph import mermaid, svg, text
from apflow_graph.escaping import columns
from apflow_graph.looks import LOOKS
from apflow_graph.model import Edge, Graph, Node
from apflow_hookspecs import TaskStatus
from apflow_hookspecs.errors import TooLarge

SVG = "{http://www.w3.org/2000/svg}"

OUTLINES = {
    "diamond": """
   · root
1  ├── · a
2  ├── · b  ← a
2  ├── · c  ← a
3  └── · d  ← b, c

   · pending  ← waits for
""",
    "groups": """
   · root
   ├── · load
1  │   ├── · x
2  │   └── · y  ← x
3  └── · z      ← load

   · pending  ← waits for
""",
    "working_root": """
3  · root      ← leaf, twig
1  ├── · leaf
2  └── · twig  ← leaf

   · pending  ← waits for
""",
    "optional_and_from": """
   · root
1  ├── · a
2  ├── · b  ← a?
3  └── · c  ← a /x/0, b

   · pending  ← waits for  ? optional
""",
}
FLOWCHARTS = {
    "diamond": """
  subgraph n0["· root"]
    n1["· a"]
    n2["· b"]
    n3["· c"]
    n4["· d"]
  end
  n1 --> n2
  n1 --> n3
  n2 --> n4
  n3 --> n4
""",
    "groups": """
  subgraph n0["· root"]
    subgraph n1["· load"]
      n2["· x"]
      n3["· y"]
    end
    n4["· z"]
  end
  n2 --> n3
  n1 --> n4
""",
    "working_root": """
  subgraph f0["under root"]
    n0["· root"]
    n1["· leaf"]
    n2["· twig"]
  end
  n1 --> n0
  n2 --> n0
  n1 --> n2
""",
    "optional_and_from": """
  subgraph n0["· root"]
    n1["· a"]
    n2["· b"]
    n3["· c"]
  end
  n1 -.-> n2
  n1 -->|"/x/0"| n3
  n2 --> n3
""",
}


@pytest.mark.parametrize("tree", OUTLINES)
async def test_the_text_is_an_outline_with_waves_and_what_is_waited_for(graph, tree):
    assert "\n".join(["", *text.lines(await graph(tree)), ""]) == OUTLINES[tree]


@pytest.mark.parametrize("tree", FLOWCHARTS)
async def test_mermaid_has_subgraphs_nodes_and_arrows(graph, tree):
    first, *lines = mermaid.lines(await graph(tree))
    assert first == "flowchart LR"
    assert "\n".join(["", *lines[:-2], ""]) == FLOWCHARTS[tree]
    assert lines[-1].endswith(" pending")


async def drawn(graph, tree):
    return ET.fromstring(svg.document(await graph(tree)))  # noqa: S314 - our own document


def of_class(root, name):
    return [element for element in root.iter() if name in element.get("class", "").split()]


@pytest.mark.parametrize(
    ("tree", "counts"),
    [
        ("diamond", {"box": 4, "frame": 1, "tip": 4, "optional": 0}),
        ("groups", {"box": 3, "frame": 2, "tip": 2, "optional": 0}),
        ("working_root", {"box": 3, "frame": 1, "tip": 3, "optional": 0}),
        ("optional_and_from", {"box": 3, "frame": 1, "tip": 3, "optional": 1 + 1}),  # one is the legend's
    ],
)
async def test_the_svg_has_boxes_frames_and_edges(graph, tree, counts):
    root = await drawn(graph, tree)
    assert {name: len(of_class(root, name)) for name in counts} == counts


async def test_the_svg_has_the_path_of_a_reference_beside_its_edge(graph):
    assert [each.text for each in of_class(await drawn(graph, "optional_and_from"), "path")] == ["/x/0"]


async def test_the_svg_says_name_and_status_of_each_node_and_how_large_it_is(graph):
    root = await drawn(graph, "groups")
    titles = [group.find(f"{SVG}title").text for group in of_class(root, "pending") if group.find(f"{SVG}title") is not None]
    assert sorted(titles) == ["load: pending", "root: pending", "x: pending", "y: pending", "z: pending"]
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (float(root.get("width")), float(root.get("height"))) == (width, height)
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("class") != "ground":
            x, y, wide, high = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
            assert left <= x <= x + wide <= left + width
            assert top <= y <= y + high <= top + height


async def test_the_svg_has_colours_for_light_and_dark(graph):
    sheet = (await drawn(graph, "diamond")).find(f"{SVG}style").text
    used, defined = (set(re.findall(pattern, sheet)) for pattern in (r"var\((--\w+)\)", r"(--\w+):"))
    assert used == defined
    light, dark = sheet.split("@media (prefers-color-scheme: dark) {")
    assert light.count("--status:") == dark.count("--status:") == 1
    assert "url(" not in sheet
    assert "@import" not in sheet


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_has_a_sign_of_its_own_in_every_form(status):
    one = Graph((Node("a", "a", "a", status.value, "echo", error="no"),))
    sign = LOOKS[status.value].sign
    assert sum(look.sign == sign for look in LOOKS.values()) == 1
    assert next(text.lines(one)) == f"1  {sign} a"
    assert f'n0["{sign} a"]' in "".join(mermaid.lines(one))
    assert f">{sign}</text>" in svg.document(one)
    assert f"<title>a: {status.value.replace('_', ' ')}: no</title>" in svg.document(one)


def test_the_text_gives_each_name_and_sign_the_colour_of_its_status():
    nodes = (Node("r", "r", "r", "in_progress"), Node("a", "a", "a", "failed", "echo", 0))
    painted = list(text.lines(Graph(nodes), 80, lambda shown, status: f"<{status}>{shown}</>"))
    assert painted[:2] == ["   <in_progress>▸ r</>", "1  └── <failed>✗ a</>"]


async def test_the_text_keeps_within_80_columns_and_counts_what_it_leaves_out(graph):
    long = [f"a rather long name of task number {n}" for n in range(30)]
    tasks = [group("root"), *({"name": name, "parent_id": "root", "executor": "echo"} for name in long)]
    tasks.append({"id": "end", "parent_id": "root", "executor": "echo", "dependencies": [{"name": name} for name in long]})
    lines = list(text.lines(await graph(tasks)))
    assert max(map(columns, lines)) <= 80
    assert lines[-3].endswith("← a rather long name o… and 29 more")


def test_a_tree_as_deep_as_it_is_large_stays_readable():
    nodes = tuple(Node(f"t{n}", f"t{n}", f"t{n}", "pending", "echo", n - 1 if n else None) for n in range(10_000))
    lines = list(text.lines(Graph(nodes, tuple(Edge(n + 1, n) for n in range(9_999)))))
    assert len(lines) == 10_000 + 2
    assert max(map(len, lines)) <= 80
    assert lines[9_999].split() == ["1", "⋯9999", "└──", "·", "t9999"]
    assert sum(1 for line in mermaid.lines(Graph(nodes)) if "subgraph" in line) == 9_999


async def test_a_branch_of_the_outline_goes_on_beside_what_is_under_it(graph):
    tasks = [group("root"), group("g", parent_id="root"), task("a", "echo", "g"), task("b", "echo", "a"), task("c", "echo")]
    assert [line[3:] for line in text.lines(await graph(tasks))][:5] == [
        "· root",
        "├── · g",
        "│   └── · a",
        "│       └── · b",
        "└── · c",
    ]


def test_the_svg_refuses_what_nobody_could_look_at():
    fan = Graph(tuple(Node(f"t{n}", f"t{n}", f"t{n}", "pending", "echo") for n in range(2001)))
    with pytest.raises(TooLarge, match=r"--svg draws at most 2,000 tasks, and here are 2,001; draw a part of it"):
        svg.document(fan)
    chain = Graph(fan.nodes[:2000], tuple(Edge(m, n) for n in range(1, 2000) for m in {0, n - 1}))
    with pytest.raises(TooLarge, match=r"across at most 1,000,000 waves in all, and here are 2,000,998"):
        svg.document(chain)


def test_a_long_edge_shares_its_bends_and_a_straight_one_is_one_line():
    size = 300
    nodes = tuple(Node(f"t{n}", f"t{n}", f"t{n}", "pending", "echo") for n in range(size))
    edges = tuple(Edge(m, n) for n in range(1, size) for m in sorted({0, n - 1}))
    assert len(svg.document(Graph(nodes, edges))) < 1000 * size
