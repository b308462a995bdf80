"""What is said once a tree has settled: counts, time, and what did not complete with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from apflow.cli.following import labels, standing
from apflow.cli.text import duration, plural
from apflow.escaping import escaped
from apflow_hookspecs import Json, TaskStatus

SHOWN = 20
"""Tasks of one status that are told one by one."""

_TOLD = (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED, TaskStatus.WAITING)


def summary(tree: Mapping[str, Json]) -> Iterator[str]:
    """The lines of a tree's end, from `{"id", "status", "run", "tasks": […]}`.

    Groups are counted, and not told one by one: they end as what is under them.
    """
    tasks = tree["tasks"]
    took = seconds(tasks, tree["run"])
    time = "" if took is None else f" in {duration(took)}"
    yield f"{escaped(tree['status'])}: {plural(len(tasks), 'task')}, {counts(tasks)}{time} (tree {escaped(tree['id'])})"
    names = labels(tasks)
    for status in _TOLD:
        found = [task for task in tasks if task["status"] == status and task["executor"] is not None]
        yield from (f"  {names[task['id']]} {standing(task)}" for task in found[:SHOWN])
        if len(found) > SHOWN:
            yield f"  and {plural(len(found) - SHOWN, 'more task')} {status}"


def counts(tasks: Sequence[Mapping[str, Json]]) -> str:
    """How many tasks have each status, in the order of a task's life: `3 completed, 1 failed`."""
    found = Counter(task["status"] for task in tasks)
    return ", ".join(f"{found[status]:,} {status.replace('_', ' ')}" for status in TaskStatus if found[status])


def seconds(tasks: Sequence[Mapping[str, Json]], run: int) -> float | None:
    """From the first start to the last end among the tasks of a run; None when none of them started."""
    ran = [task for task in tasks if task["run"] == run and task["executor"] and task["started_at"] and task["completed_at"]]
    if not ran:
        return None
    start = min(datetime.fromisoformat(task["started_at"]) for task in ran)
    return (max(datetime.fromisoformat(task["completed_at"]) for task in ran) - start).total_seconds()
