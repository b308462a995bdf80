"""The table: medians, with the limit beside each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from attrs import frozen

from benchmarks.measure import Measurement
from benchmarks.systems import LIMIT

MIB = 1 << 20
HEAD = ("workload", "tasks", "durability", "system", "tasks/s", "of limit", "spread", "CPU µs/task", "peak MiB", "bytes/task")


@frozen
class Block:
    """The turns of one workload at one durability.

    Args:
        shape: Of the tree.
        durability: What a stored result survives.
        turns: By system, a measurement for each turn.
    """

    shape: str
    durability: str
    turns: Mapping[str, Sequence[Measurement]]


def ratios(block: Block, system: str) -> list[float]:
    """A system's speed as part of the limit's, turn by turn: what slows a turn down slows both."""
    pairs = zip(block.turns[LIMIT], block.turns[system], strict=True)
    return [limit.seconds / other.seconds for limit, other in pairs]


def rows(block: Block) -> Iterable[tuple[str, ...]]:
    """A line per system."""
    for system, turns in block.turns.items():
        parts = ratios(block, system)
        yield (
            block.shape,
            f"{turns[0].tasks:,}",
            block.durability,
            system,
            f"{_median(turns, lambda m: m.tasks / m.seconds):,.0f}",
            "" if system == LIMIT else f"{median(parts):.2f}",
            "" if system == LIMIT else f"{min(parts):.2f}-{max(parts):.2f}",
            f"{_median(turns, lambda m: m.cpu / m.tasks * 1e6):,.1f}",
            f"{_median(turns, lambda m: m.memory / MIB):,.0f}",
            f"{_median(turns, lambda m: m.file / m.tasks):,.0f}" if turns[0].file else "",
        )


def _median(turns: Sequence[Measurement], of: Callable[[Measurement], float]) -> float:
    return median(map(of, turns))


def table(blocks: Iterable[Block]) -> str:
    """All of it as text; what a line shares with the one above is left out."""
    lines = [HEAD, *(row for block in blocks for row in rows(block))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    above: tuple[str, ...] = ()
    for line in lines:
        same = line[:3] == above[:3]
        shown = ("", "", "", *line[3:]) if same else line
        if above and not same:
            text.append("")
        text.append(
            "  ".join(_aligned(cell, width, index) for index, (cell, width) in enumerate(zip(shown, widths, strict=True)))
        )
        above = line
    return "\n".join(line.rstrip() for line in text)


def _aligned(cell: str, width: int, index: int) -> str:
    return cell.ljust(width) if index in {0, 2, 3} else cell.rjust(width)
