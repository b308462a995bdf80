"""How far down each unit stands: near its neighbours, in the order of the ranks, and never over a sibling."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from apflow_graph.units import Unit, common_frame, frames_upwards

ROUNDS = 40
STRAIGHT = 8.0
"""How much more it weighs that an edge is straight between two of its bends."""


@frozen
class _Wish:
    """That two units of one frame stand so that an edge between them, or between what is in them, is level."""

    unit: int
    inset: float
    other: int
    other_inset: float
    weight: float


def place(whole: Unit, gap: float, padding: float) -> None:
    """Set the tops and the frames' heights, from the innermost frame outwards; siblings in one column keep `gap` free."""
    edges = _edges_by_frame(whole)
    for frame in frames_upwards(whole):
        numbers = {id(unit): n for n, unit in enumerate(frame.inner)}
        wishes = [_wish(frame, numbers, left, right) for left, right in edges.get(id(frame), ())]
        tops = _settle(frame.inner, wishes, gap)
        for unit, top in zip(frame.inner, tops, strict=True):
            unit.top = frame.title + padding + top
        frame.height = padding + max(unit.top + unit.height for unit in frame.inner)


def _edges_by_frame(whole: Unit) -> dict[int, list[tuple[Unit, Unit]]]:
    found: dict[int, list[tuple[Unit, Unit]]] = {}
    for frame in frames_upwards(whole):
        for left in frame.inner:
            for right in left.after:
                found.setdefault(id(common_frame(left.frame, right.frame)), []).append((left, right))
    return found


def _wish(frame: Unit, numbers: dict[int, int], left: Unit, right: Unit) -> _Wish:
    weight = STRAIGHT if left.bend and right.bend else 1.0
    return _Wish(*_inset(frame, numbers, left), *_inset(frame, numbers, right), weight)


def _inset(frame: Unit, numbers: dict[int, int], unit: Unit) -> tuple[int, float]:
    """Which unit of a frame a unit is or stands in, and how far below its top the middle is."""
    inset = unit.height / 2
    while unit.frame is not frame:
        inset += unit.top
        assert unit.frame is not None  # noqa: S101 - it stands in the frame
        unit = unit.frame
    return numbers[id(unit)], inset


def _settle(units: Sequence[Unit], wishes: Sequence[_Wish], gap: float) -> list[float]:
    """Tops that come near to the wishes, in no more height than the units need.

    Packing downwards and packing upwards both keep the units apart, and so do their mean, larger and smaller values.
    """
    above = _above(units)
    tops = highest = _packed(units, above, [0.0] * len(units), gap)
    bottom = max(top + unit.height for top, unit in zip(tops, units, strict=True))
    lowest = _packed_upwards(units, above, [bottom - unit.height for unit in units], gap)
    for _ in range(ROUNDS if wishes else 0):
        wanted = _wanted(tops, wishes)
        down, up = _packed(units, above, wanted, gap), _packed_upwards(units, above, wanted, gap)
        means = [(one + other) / 2 for one, other in zip(down, up, strict=True)]
        tops = [min(max(mean, high), low) for mean, high, low in zip(means, highest, lowest, strict=True)]
    return tops


def _above(units: Sequence[Unit]) -> list[list[int]]:
    """Of each unit those that stand right above it."""
    lowest: dict[int, int] = {}
    above = []
    for n, unit in enumerate(units):
        span = range(unit.first, unit.last + 1)
        above.append(sorted({lowest[column] for column in span if column in lowest}))
        lowest.update(dict.fromkeys(span, n))
    return above


def _wanted(tops: Sequence[float], wishes: Sequence[_Wish]) -> list[float]:
    total, weight = [0.0] * len(tops), [0.0] * len(tops)
    for wish in wishes:
        level = tops[wish.unit] + wish.inset - tops[wish.other] - wish.other_inset
        for n, change in ((wish.unit, -level), (wish.other, level)):
            total[n] += change * wish.weight
            weight[n] += wish.weight
    # Half of the way: neighbours that both went all of it would change places for ever.
    return [top + total[n] / weight[n] / 2 if weight[n] else top for n, top in enumerate(tops)]


def _packed(units: Sequence[Unit], above: Sequence[Sequence[int]], wanted: Sequence[float], gap: float) -> list[float]:
    tops: list[float] = []
    for n, top in enumerate(wanted):
        tops.append(max([top, *(tops[other] + units[other].height + gap for other in above[n])]))
    return tops


def _packed_upwards(units: Sequence[Unit], above: Sequence[Sequence[int]], wanted: Sequence[float], gap: float) -> list[float]:
    tops = list(wanted)
    for n in reversed(range(len(units))):
        for other in above[n]:
            tops[other] = min(tops[other], tops[n] - gap - units[other].height)
    return tops
