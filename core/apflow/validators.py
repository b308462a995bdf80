"""The built-in validators: executors and policies exist, and what a task gives them fits.

They are a plugin like any other, and stand beside those of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apflow.calls import Call, Calls
from apflow.known import missing_executor, missing_policy
from apflow.runner import policy_options
from apflow.structuring import DoesNotFit
from apflow_hookspecs import ExecutableTask, Problem, Task, TaskTree, hookimpl
from apflow_hookspecs.errors import ExecutorNotFound

if TYPE_CHECKING:
    from apflow.engine import Engine


class Validators:
    """One per host."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._calls: Calls | None = None

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Get to know what is installed."""
        self._engine = engine
        self._calls = Calls(engine.executors)

    @hookimpl
    def apflow_validate_task(self, task: Task, executor: ExecutableTask | None, tree: TaskTree) -> Iterator[Problem]:
        """The executor exists, and inputs, params and policies fit."""
        if task.executor is None or self._engine is None or self._calls is None:
            return
        if executor is None:
            rule = missing_executor(task.executor, self._engine.host)
            yield Problem(rule, task.key, "executor", task.executor, ExecutorNotFound.code)
        else:
            yield from self._inputs(task, self._calls[task.executor], tree)
        for name, options in task.policies.items():
            yield from self._policy(task, name, options)

    def _inputs(self, task: Task, call: Call, tree: TaskTree) -> Iterator[Problem]:
        provided = frozenset(tree[d.task_id].key for d in task.dependencies)
        # A hook may still add what is missing.
        misfits = call.misfits(task.inputs, provided)
        open_ended = self._engine is not None and self._engine.host.gates_execution
        for misfit in misfits:
            if not (open_ended and misfit.rule == "is missing"):
                yield Problem(misfit.rule, task.key, f"inputs{misfit.path}", misfit.value)
        try:
            call.params(task.params)
        except DoesNotFit as error:
            yield from (Problem(m.rule, task.key, f"params{m.path}", m.value) for m in error.misfits)

    def _policy(self, task: Task, name: str, options: object) -> Iterator[Problem]:
        if self._engine is None:
            return
        policy = self._engine.host.policies.get(name)
        if policy is None:
            yield Problem(missing_policy(name, self._engine.host), task.key, f"policies.{name}", options)
            return
        try:
            policy_options(policy, options)
        except DoesNotFit as error:
            yield from (Problem(m.rule, task.key, f"policies.{name}{m.path}", m.value) for m in error.misfits)
