"""What is drawn: the tasks of a tree as nodes, and who waits for whom as edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import frozen

from apflow_graph.waves import waves
from apflow_hookspecs import Json

FROM, PATH, LITERAL = "$from", "path", "$literal"


@frozen
class Node:
    """A task.

    Args:
        parent: Number of the node in which it is drawn; None for one at the top.
        error: Message of the error with which it settled.
    """

    id: str
    key: str
    name: str
    status: str
    executor: str | None = None
    parent: int | None = None
    error: str | None = None

    @property
    def label(self) -> str:
        """Its name, with its key where that is another."""
        return self.name if self.name == self.key else f"{self.name} ({self.key})"


@frozen
class Edge:
    """One node waits for another.

    Args:
        source: Number of the node that goes first.
        target: Number of the node that waits.
        required: Whether the source has to complete; otherwise any end will do.
        paths: Which parts of its result the target's inputs refer to, as JSON Pointers, each once.
    """

    source: int
    target: int
    required: bool = True
    paths: tuple[str, ...] = ()


@frozen
class Graph:
    """A tree, or a part of it; nodes stand in the order of creation and are known by their number."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()

    @cached_property
    def tops(self) -> tuple[int, ...]:
        """The nodes that stand in no other."""
        return tuple(n for n, node in enumerate(self.nodes) if node.parent is None)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The nodes drawn in each."""
        children: list[list[int]] = [[] for _ in self.nodes]
        for n, node in enumerate(self.nodes):
            if node.parent is not None:
                children[node.parent].append(n)
        return tuple(map(tuple, children))

    @cached_property
    def incoming(self) -> tuple[tuple[Edge, ...], ...]:
        """The edges that lead to each node."""
        incoming: list[list[Edge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            incoming[edge.target].append(edge)
        return tuple(map(tuple, incoming))

    @cached_property
    def waves(self) -> tuple[int, ...]:
        """The wave of each node, from 1: a task's comes after those of all that it waits for; a group's is that of its last."""
        parents = [node.parent for node in self.nodes]
        frames = [self.is_frame(n) for n in range(len(self.nodes))]
        return waves(parents, frames, [(edge.source, edge.target) for edge in self.edges])

    def is_frame(self, n: int) -> bool:
        """Whether a node stands for what is in it alone, as a group does."""
        return self.nodes[n].executor is None and bool(self.children[n])

    def as_json(self) -> dict[str, Json]:
        """`{"nodes": […], "edges": […]}`; an edge's ends are ids, and a group has no executor."""
        return {
            "nodes": [
                {
                    "id": node.id,
                    "key": node.key,
                    "name": node.name,
                    "status": node.status,
                    "executor": node.executor,
                    "parent_id": None if node.parent is None else self.nodes[node.parent].id,
                    "wave": wave,
                }
                for node, wave in zip(self.nodes, self.waves, strict=True)
            ],
            "edges": [
                {
                    "source": self.nodes[edge.source].id,
                    "target": self.nodes[edge.target].id,
                    "required": edge.required,
                    "paths": list(edge.paths),
                }
                for edge in self.edges
            ],
        }


def graph_of(tasks: Sequence[Mapping[str, Any]], top: str | None = None) -> Graph:
    """The graph of a whole tree's flat tasks, as operations answer them, or of its part under a task.

    Of such a part belongs also what it waits for directly; that stands at the top.

    Args:
        tasks: Every task of the tree, as JSON.
        top: The id of the task; None for the whole tree.
    """
    numbers = {task["id"]: n for n, task in enumerate(tasks)}
    edges = list(_edges(tasks, numbers))
    if top is None or tasks[numbers[top]]["parent_id"] is None:
        return Graph(tuple(_node(task, numbers) for task in tasks), tuple(edges))
    inside = _under(tasks, numbers, top)
    edges = [edge for edge in edges if edge.target in inside]
    kept = sorted(inside | {edge.source for edge in edges})
    places = {n: place for place, n in enumerate(kept)}
    part = {tasks[n]["id"]: place for n, place in places.items() if n in inside}
    loose = [tasks[n] if n in inside and tasks[n]["id"] != top else {**tasks[n], "parent_id": None} for n in kept]
    return Graph(
        tuple(_node(task, part) for task in loose),
        tuple(Edge(places[edge.source], places[edge.target], edge.required, edge.paths) for edge in edges),
    )


def _node(task: Mapping[str, Any], numbers: Mapping[str, int]) -> Node:
    parent = None if task["parent_id"] is None else numbers[task["parent_id"]]
    error = task["error"]["message"] if task["error"] else None
    return Node(task["id"], task["key"], task["name"], task["status"], task["executor"], parent, error)


def _edges(tasks: Sequence[Mapping[str, Any]], numbers: Mapping[str, int]) -> Iterator[Edge]:
    keys = {task["key"]: n for n, task in enumerate(tasks)}
    for n, task in enumerate(tasks):
        required = {numbers[one["task_id"]]: one["required"] for one in task["dependencies"]}
        paths: dict[int, dict[str, None]] = {}
        for key, path in references(task["inputs"]):
            paths.setdefault(keys[key], {}).update({path: None} if path else {})
        for source in {**required, **paths}:
            yield Edge(source, n, required.get(source, True), tuple(paths.get(source, ())))


def references(inputs: Json) -> Iterator[tuple[str, str]]:
    """Key and path of each `{"$from": …}` in a task's inputs, in the order in which they stand there."""
    ahead = [inputs]
    while ahead:
        value = ahead.pop()
        if isinstance(value, list):
            ahead.extend(reversed(value))
        elif isinstance(value, dict):
            if FROM in value:
                yield value[FROM], value.get(PATH, "")
            elif value.keys() != {LITERAL}:
                ahead.extend(reversed(value.values()))


def _under(tasks: Iterable[Mapping[str, Any]], numbers: Mapping[str, int], top: str) -> set[int]:
    children: dict[str | None, list[str]] = {}
    for task in tasks:
        children.setdefault(task["parent_id"], []).append(task["id"])
    found, ahead = set(), [top]
    while ahead:
        task_id = ahead.pop()
        found.add(numbers[task_id])
        ahead.extend(children.get(task_id, ()))
    return found
