"""The built-in validators: executors and policies exist, and what a task gives them fits.

They are a plugin like any other, and stand beside those of others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from apflow_hookspecs import ExecutableTask, Problem, Task, TaskTree, hookimpl

if TYPE_CHECKING:
    from apflow.checks import Checks
    from apflow.engine import Engine


class Validators:
    """One per host."""

    def __init__(self) -> None:
        self._checks: Checks | None = None

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Get to know what is installed."""
        from apflow.checks import Checks  # noqa: PLC0415 - a plugin is imported at every start, and few starts create anything

        self._checks = Checks(engine.host)

    @hookimpl
    def apflow_validate_task(self, task: Task, executor: ExecutableTask | None, tree: TaskTree) -> Iterable[Problem]:
        """The executor exists, and inputs, params and policies fit."""
        return () if task.is_group or self._checks is None else self._checks.problems(task, executor, tree)
