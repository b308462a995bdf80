"""Dependents: who, in the order graph of a tree, depends on given tasks, and by which path.

Who depends on a group depends on every task under it, at any depth. A group depends on nobody, for it does no work; what
follows from the tasks under it follows from itself. Everything here is O(V+E) and without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from apflow.plan import NOBODY, Plan
from apflow.tree import MAX_SHOWN
from apflow_hookspecs import Problem, Task
from apflow_hookspecs.errors import InvalidTree

RULE = "depends on what was chosen, and was not chosen itself: {path}; include_dependents adds it, allow_partial accepts it"


@frozen
class Dependents:
    """Who depends on some chosen tasks.

    Args:
        numbers: Of the dependents, in the order of creation; none of them was chosen.
        towards: The next step from each of them, and from the groups in between, to a chosen task.
    """

    numbers: Sequence[int]
    towards: Mapping[int, int]

    def path(self, n: int) -> list[int]:
        """A shortest path that binds a dependent: its own number, what is in between, the chosen task."""
        path = [n]
        while path[-1] in self.towards:
            path.append(self.towards[path[-1]])
        return path


def find_dependents(plan: Plan, chosen: Iterable[int], *, transitive: bool = True) -> Dependents:
    """Who depends on the chosen tasks.

    Args:
        plan: The order graph.
        chosen: Numbers. That of a group stands for the group alone, without the tasks under it.
        transitive: Also those that depend on dependents, and so on.
    """
    looked_at = list(dict.fromkeys(chosen))
    asked = frozenset(looked_at)
    climbed: set[int] = set()
    towards: dict[int, int] = {}
    found: list[int] = []
    for n in looked_at:
        for other in _n_and_new_groups_above(plan, n, climbed):
            if other != n and other not in asked:
                towards[other] = n
            for dependent in (*plan.required[other], *plan.optional.get(other, NOBODY)):
                if dependent not in towards and dependent not in asked:
                    towards[dependent] = other
                    found.append(dependent)
                    if transitive:
                        looked_at.append(dependent)
    return Dependents(sorted(found), towards)


def _n_and_new_groups_above(plan: Plan, n: int, climbed: set[int]) -> Iterator[int]:
    """A task, and the groups above it to which nobody has climbed yet; whoever did has been at all that are above those."""
    yield n
    above = plan.parents[n]
    while above >= 0 and above not in climbed:
        climbed.add(above)
        if above in plan.groups:
            yield above
        above = plan.parents[above]


def missing_dependents(tasks: Sequence[Task], dependents: Dependents) -> InvalidTree:
    """The refusal of a part of a tree that was chosen without its dependents.

    Each has a problem of its own, which shows the path that binds it in the authors' keys: `report → merge → fetch`.

    Args:
        tasks: Of the tree, by number.
        dependents: Those that are missing; there is at least one.
    """
    problems = tuple(_missing(tasks, dependents.path(n)) for n in dependents.numbers[:MAX_SHOWN])
    count = len(dependents.numbers)
    return InvalidTree(None if count == 1 else f"{count} problems, the first: {problems[0]}", problems=problems)


def _missing(tasks: Sequence[Task], path: list[int]) -> Problem:
    names = [tasks[n].key for n in path]
    if len(names) > MAX_SHOWN:
        names[MAX_SHOWN - 1 : -1] = [f"… {len(names) - MAX_SHOWN:,} more …"]
    return Problem(RULE.format(path=" → ".join(names)), names[0], "dependencies", tasks[path[1]].key, InvalidTree.code)
