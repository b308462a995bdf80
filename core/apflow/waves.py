"""The order of a tree as a whole: its waves, were there slots for all, and the chain that takes longest."""

from __future__ import annotations

from collections.abc import Sequence

from apflow.plan import Plan
from apflow.schedule import COMPLETED, Course, Schedule
from apflow_hookspecs import Task


def waves(plan: Plan, tasks: Sequence[Task]) -> list[list[int]]:
    """The numbers of the tasks by the wave in which they could start, were there slots for all; in a cycle none starts."""
    schedule: Schedule[Course] = Schedule(plan.size)
    course = Course(plan, tasks)
    schedule.add(course)
    found = []
    while starts := schedule.claims():
        found.append([n for _, n in starts])
        for _, n in starts:
            schedule.released(course, n)
            schedule.settled(course, n, COMPLETED)
    return found


def critical_path(plan: Plan, found: Sequence[Sequence[int]]) -> list[int]:
    """The numbers of one longest chain of working tasks, in which each waits for the one before.

    It has a task of every wave, for whatever starts in one waits for something of the wave before.

    Args:
        plan: Of a tree without a cycle.
        found: Its waves.
    """
    wave = [-1] * plan.size
    for number, started in enumerate(found):
        for n in started:
            wave[n] = number
    last = _last_under(plan, wave)
    path = [found[-1][0]]
    while wave[path[-1]]:
        awaited = (last[n] if n in plan.groups else n for n in plan.dependencies[path[-1]])
        path.append(max(awaited, key=wave.__getitem__))
    return path[::-1]


def _last_under(plan: Plan, wave: Sequence[int]) -> list[int]:
    """Of each task the one that starts last among itself and all that is under it."""
    last = list(range(plan.size))
    downwards = [n for n, parent in enumerate(plan.parents) if parent < 0]
    for n in downwards:
        downwards.extend(plan.children[n])
    for n in reversed(downwards):
        parent = plan.parents[n]
        if parent >= 0 and wave[last[n]] > wave[last[parent]]:
            last[parent] = last[n]
    return last
