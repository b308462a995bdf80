"""Which unit stands above which: by the barycentres of their neighbours, swept through the columns.

Sugiyama, Tagawa, Toda: "Methods for visual understanding of hierarchical system structures", 1981. What is in one frame stays
together, since a column is ordered by the ranks of the frames first.
"""

from __future__ import annotations

from collections.abc import Iterable

from apflow_graph.units import Unit, frames_upwards

SWEEPS = 8


def order(whole: Unit) -> None:
    """Set the ranks, and sort what is in each frame by them."""
    frames = frames_upwards(whole)
    columns: list[list[Unit]] = [[] for _ in range(whole.last + 1)]
    for frame in reversed(frames):
        for unit in frame.inner:
            if not unit.inner:
                columns[unit.first].append(unit)
    for column in columns:
        _rank(column)
    for sweep in range(SWEEPS):
        _rank_frames(frames)
        _sweep(columns if sweep % 2 == 0 else reversed(columns), forward=sweep % 2 == 0)
    _rank_frames(frames)
    for frame in frames:
        frame.inner.sort(key=_by_rank)


def _by_rank(unit: Unit) -> float:
    return unit.rank


def _rank(column: list[Unit]) -> None:
    middle = (len(column) - 1) / 2
    for place, unit in enumerate(column):
        unit.rank = place - middle


def _sweep(columns: Iterable[list[Unit]], *, forward: bool) -> None:
    for column in columns:
        for unit in column:
            near = unit.before if forward else unit.after
            if near:
                unit.rank = sum(other.rank for other in near) / len(near)
        column.sort(key=_path)
        _rank(column)


def _path(unit: Unit) -> tuple[tuple[float, int], ...]:
    return (*_path_of(unit.frame), (unit.rank, 0))


def _path_of(frame: Unit | None) -> tuple[tuple[float, int], ...]:
    return () if frame is None else frame.path


def _rank_frames(frames: Iterable[Unit]) -> None:
    """A frame ranks as what is in it does on average, and its path is those of the frames around it and its own."""
    upwards = list(frames)
    for frame in upwards:
        frame.rank = sum(unit.rank for unit in frame.inner) / len(frame.inner)
    for number, frame in enumerate(reversed(upwards)):
        frame.path = (*_path_of(frame.frame), (frame.rank, number))
