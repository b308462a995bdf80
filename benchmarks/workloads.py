"""The workloads: shapes of trees, the same for every system that is measured."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

SEED = 20
WIDTH = 100
"""Tasks in one layer."""


@frozen
class Workload:
    """A tree of tasks that do nothing but say that they ran.

    Args:
        name: As on the command line.
        shape: For people.
        needs: By task number, the numbers of the tasks that it depends on; all are lower than its own.
    """

    name: str
    shape: str
    needs: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.needs)

    def array(self) -> list[dict[str, Any]]:
        """The tree as an author writes it: task 0 is the root, all others are under it. `{"n": 7}` makes task 7 return 7."""
        return [
            {
                "id": f"t{n}",
                **({"parent_id": "t0"} if n else {}),
                "executor": "mark",
                "inputs": {"n": n},
                **({"dependencies": [f"t{other}" for other in needed]} if needed else {}),
            }
            for n, needed in enumerate(self.needs)
        ]


def chain(count: int = 500) -> Workload:
    """Each task depends on the one before: what one link costs, when nothing can be done meanwhile."""
    return Workload("W1", f"chain of {count:,}", [(n - 1,) if n else () for n in range(count)])


def fan_out(width: int = 2000) -> Workload:
    """One root, tasks that depend on it alone, and one that depends on all of these."""
    return Workload("W2", f"fan-out of {width:,}", [(), *[(0,)] * width, range(1, width + 1)])


def layers(count: int = 20, name: str = "W3") -> Workload:
    """Layers of 100 tasks, each of which depends on three of the layer before, drawn with a fixed seed."""
    return Workload(name, f"{count:,} layers of {WIDTH}", list(_layered(count)))


def scale(tasks: int = 10_000) -> Workload:
    """As many layers as it takes: what a task costs in a big tree."""
    return layers(tasks // WIDTH, "W4")


def _layered(count: int) -> Iterator[tuple[int, ...]]:
    draw = random.Random(SEED)  # noqa: S311 - the same trees every time, not secrets
    for layer in range(count):
        before = range((layer - 1) * WIDTH, layer * WIDTH)
        for _ in range(WIDTH):
            yield tuple(draw.sample(before, 3)) if layer else ()
