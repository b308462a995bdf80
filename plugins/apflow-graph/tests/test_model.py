"""What becomes a node, and what an edge."""

from __future__ import annotations

import pytest
from samples import group, task

from apflow_graph.model import references


def edges(graph):
    """`{(source, target): (required, paths)}`, by keys."""
    keys = [node.key for node in graph.nodes]
    return {(keys[edge.source], keys[edge.target]): (edge.required, edge.paths) for edge in graph.edges}


@pytest.mark.parametrize("tree", ["diamond", "groups", "working_root", "optional_and_from"])
async def test_the_waves_are_those_of_the_plan(graph, validated, tree):
    plan = (await validated(tree))["plan"]
    drawn = await graph(tree)
    of_plan = {key: wave for wave, keys in enumerate(plan["waves"], 1) for key in keys}
    assert of_plan == {node.key: drawn.waves[n] for n, node in enumerate(drawn.nodes) if node.executor}


async def test_a_group_has_the_wave_of_its_last_task(graph):
    drawn = await graph("groups")
    assert dict(zip((node.key for node in drawn.nodes), drawn.waves, strict=True)) == {
        "root": 3, "load": 2, "x": 1, "y": 2, "z": 3,
    }  # fmt: skip


async def test_dependencies_are_edges_and_optional_ones_say_so(graph):
    assert edges(await graph("diamond")) == {
        ("a", "b"): (True, ()), ("a", "c"): (True, ()), ("b", "d"): (True, ()), ("c", "d"): (True, ()),
    }  # fmt: skip
    assert edges(await graph("optional_and_from"))["a", "b"] == (False, ())


async def test_references_are_required_edges_with_their_paths(graph):
    drawn = edges(await graph("optional_and_from"))
    assert (drawn["a", "c"], drawn["b", "c"]) == ((True, ("/x/0",)), (True, ()))


async def test_a_dependency_and_references_to_the_same_task_are_one_edge(graph):
    optional = [{"id": "a", "required": False}]
    one, two, whole = {"$from": "a", "path": "/p"}, {"$from": "a", "path": "/q"}, {"$from": "a"}
    tasks = [group("root"), task("a", "echo"), task("b", "echo", dependencies=optional, value=[one, two, one, whole])]
    assert edges(await graph(tasks)) == {("a", "b"): (False, ("/p", "/q"))}


def test_references_are_found_at_any_depth_but_not_in_literals():
    inputs = {
        "a": {"$from": "x"},
        "b": [[{"c": {"$from": "y", "path": "/z"}}]],
        "d": {"$literal": {"$from": "no"}},
        "e": "$from",
    }
    assert list(references(inputs)) == [("x", ""), ("y", "/z")]


async def test_a_name_that_is_not_the_key_stands_with_the_key(graph):
    drawn = await graph([{"id": "a", "name": "Load it all", "executor": "echo"}])
    assert drawn.nodes[0].label == "Load it all (a)"


async def test_a_part_of_a_tree_has_what_it_waits_for_beside_it(graph):
    tasks = [
        group("root"),
        group("left", parent_id="root"),
        task("a", "echo", "left"),
        task("far", "echo"),
        task("b", "echo", dependencies=["far", "left"]),
        task("c", "echo", "b", dependencies=["a"]),
    ]
    part = await graph(tasks, "b")
    assert [(node.key, node.parent) for node in part.nodes] == [
        ("left", None),
        ("a", None),
        ("far", None),
        ("b", None),
        ("c", 3),
    ]
    assert edges(part) == {("far", "b"): (True, ()), ("left", "b"): (True, ()), ("a", "c"): (True, ())}
    assert part.waves == (1, 1, 1, 2, 2)


async def test_as_json_the_ends_of_edges_are_ids(graph):
    document = (await graph("optional_and_from")).as_json()
    assert document["nodes"][1] == {
        "id": "a", "key": "a", "name": "a", "status": "pending", "executor": "echo", "parent_id": "root", "wave": 1,
    }  # fmt: skip
    assert {"source": "a", "target": "c", "required": True, "paths": ["/x/0"]} in document["edges"]
