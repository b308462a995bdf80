"""In which order tasks can run at the earliest, were there slots for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def waves(parents: Sequence[int | None], groups: Sequence[bool], edges: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """The wave of each task, from 1; of a group the last wave of all that is under it.

    The longest paths of an acyclic order, in O(V+E): to wait for a group is to wait for one more node, the end of its subtree.

    Args:
        parents: The number of each task's parent.
        groups: Which tasks do no work.
        edges: Pairs of numbers: who goes first, and who waits for it.
    """
    size = len(parents)
    after: list[list[tuple[int, int]]] = [[] for _ in range(2 * size)]
    for n, parent in enumerate(parents):
        after[n].append((size + n, 0))
        if parent is not None:
            after[size + n].append((size + parent, 0))
    for source, target in edges:
        after[size + source if groups[source] else source].append((target, 1))
    reached = [0 if groups[n] else 1 for n in range(size)] + [0] * size
    _go_through(after, reached)
    return tuple(reached[size + n] if groups[n] else reached[n] for n in range(size))


def _go_through(after: Sequence[Sequence[tuple[int, int]]], reached: list[int]) -> None:
    """Raise what is reached along every edge, each node after all before it."""
    missing = [0] * len(after)
    for targets in after:
        for target, _ in targets:
            missing[target] += 1
    ready = [node for node, count in enumerate(missing) if not count]
    while ready:
        node = ready.pop()
        for target, further in after[node]:
            reached[target] = max(reached[target], reached[node] + further)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
