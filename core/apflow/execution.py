"""What an execution comprises: which tasks of a tree that is at rest run, and which are left as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from apflow.dependents import find_dependents
from apflow.plan import Plan, numbered
from apflow_hookspecs import Task, TaskStatus, TaskTree
from apflow_hookspecs.errors import InvalidTransition


@frozen
class Execution:
    """The tasks of one run, by number.

    Args:
        held: The pending tasks that work and are not asked to run.
        again: The settled tasks that run once more, and the settled groups above what runs.
    """

    held: frozenset[int]
    again: frozenset[int]


def of_tree(plan: Plan, tree: TaskTree, *, rerun: bool) -> Execution:
    """The execution of a whole tree.

    The first one runs all that is pending: what was carried over into a copy, or cancelled before, stays. A later one runs
    what did not complete, and all that depends on it; `rerun` runs everything.

    Raises:
        InvalidTransition: Everything has completed.
    """
    tasks = numbered(tree)
    pending = [n for n in _working(tasks) if tasks[n].status is TaskStatus.PENDING]
    if rerun:
        return _execution(plan, tasks, _working(tasks))
    if not tree.run and pending:
        return _execution(plan, tasks, pending)
    left = [n for n in _working(tasks) if tasks[n].status is not TaskStatus.COMPLETED]
    if not left:
        raise InvalidTransition(f"tree {tree.id!r} has completed; copy it, or ask for rerun to run all of it once more")
    return _execution(plan, tasks, [*left, *find_dependents(plan, left).numbers])


def of_task(plan: Plan, tree: TaskTree, n: int) -> Execution:
    """The execution of one task, or of all under a group.

    What it needs and has not completed runs first, and what depends on it and has settled runs again.
    """
    tasks = numbered(tree)
    chosen = plan.subtree(n) if n in plan.groups else [n]
    running = _with_what_they_need(plan, tasks, chosen)
    pending = [m for m in _working(tasks) if tasks[m].status is TaskStatus.PENDING and m not in running]
    # A dependent that also waits for what nobody asks to run would wait for ever.
    unasked = {*pending, *(m for m in plan.above(pending) if m in plan.groups)}
    dependents = find_dependents(plan, chosen).numbers
    after = [m for m in dependents if tasks[m].status.settled and unasked.isdisjoint(plan.dependencies[m])]
    return _execution(plan, tasks, [*running, *after])


def _working(tasks: list[Task]) -> Iterator[int]:
    return (n for n, task in enumerate(tasks) if task.executor is not None)


def _with_what_they_need(plan: Plan, tasks: list[Task], chosen: Iterable[int]) -> set[int]:
    """Tasks, and those that have to run so that they can: what they require and did not complete, what else they wait for."""
    running, seen = set(chosen), set[tuple[int, bool]]()
    open_tasks = list(running)
    for n in open_tasks:  # which grows
        for other, required in plan.dependencies[n].items():
            for m in _awaited(plan, other, required, seen):
                status = tasks[m].status
                over = status.settled if not required else status is TaskStatus.COMPLETED
                if not over and m not in running and tasks[m].executor is not None:
                    running.add(m)
                    open_tasks.append(m)
    return running


def _awaited(plan: Plan, n: int, required: bool, seen: set[tuple[int, bool]]) -> Iterator[int]:  # noqa: FBT001 - as plans have it
    """A task that somebody waits for; of a group all under it that was not `seen` before."""
    if n not in plan.groups:
        yield n
        return
    ahead = [n]
    while ahead:
        m = ahead.pop()
        if (m, required) not in seen:
            seen.add((m, required))
            yield m
            ahead += plan.children[m]


def _execution(plan: Plan, tasks: list[Task], running: Iterable[int]) -> Execution:
    running = {n for n in running if tasks[n].executor is not None}
    comprised = running | {n for n in plan.above(running) if n in plan.groups}
    held = (n for n in _working(tasks) if tasks[n].status is TaskStatus.PENDING and n not in running)
    return Execution(frozenset(held), frozenset(n for n in comprised if tasks[n].status.settled))
