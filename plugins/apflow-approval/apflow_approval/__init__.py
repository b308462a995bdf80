"""Executors for apflow that ask a person, and that wait for an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apflow_approval.asking import approval, approval_problems
from apflow_approval.sleeping import sleep, sleep_problems
from apflow_hookspecs import ExecutableTask, Problem, Task, hookimpl

_PROBLEMS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]] = {
    approval.id: approval_problems,
    sleep.id: sleep_problems,
}


@hookimpl
def apflow_executors() -> Iterator[ExecutableTask]:
    """Provide the executors."""
    yield from (approval, sleep)


@hookimpl
def apflow_validate_task(task: Task) -> Iterator[Problem]:
    """Refuse, before anything runs, what these executors would refuse when their turn comes."""
    find = _PROBLEMS.get(task.executor or "")
    if find is not None:
        # What a dependency brings under its own key is not known yet, as a reference is not.
        brought: dict[str, Any] = {dependency.key: {} for dependency in task.dependencies}
        for name, rule in find({**brought, **task.inputs}):
            yield Problem(rule, task=task.key, field=f"inputs.{name}", value=task.inputs.get(name))
