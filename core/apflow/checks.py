"""What the built-in validators look at, against what is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apflow.calls import Calls
from apflow.host import Host
from apflow.known import missing_executor, missing_policy, missing_secrets
from apflow.policies import policy_options
from apflow.references import find_secrets
from apflow.structuring import DoesNotFit, Misfit
from apflow_hookspecs import ExecutableTask, Problem, Task, TaskTree
from apflow_hookspecs.errors import ExecutorNotFound

NONE: frozenset[str] = frozenset()


class Checks:
    """The checks of one host.

    Args:
        host: What is installed.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._calls = Calls(host.executors)

    def problems(self, task: Task, executor: ExecutableTask | None, tree: TaskTree) -> Iterator[Problem]:
        """What is wrong with a working task."""
        if executor is None:
            rule = missing_executor(task.executor or "", self._host)
            yield Problem(rule, task.key, "executor", task.executor, ExecutorNotFound.code)
        else:
            yield from self._inputs(task, executor, tree)
        yield from self._secrets(task)
        for name, options in task.policies.items():
            yield from self._policy(task, name, options)

    def _inputs(self, task: Task, executor: ExecutableTask, tree: TaskTree) -> Iterator[Problem]:
        try:
            call = self._calls[executor.id]
        except TypeError as error:
            plugin = self._host.provider("executor", executor.id).label
            yield Problem(f"cannot be called, as provided by plugin {plugin}: {error}", task.key, "executor", executor.id)
            return
        provided = frozenset(tree[d.task_id].key for d in task.dependencies) if call.missing(task.inputs) else NONE
        for misfit in call.misfits(task.inputs, provided):
            # What is missing a hook may still add.
            if not (misfit.rule == "is missing" and self._host.adds_inputs):
                yield _problem(task, "inputs", misfit)
        try:
            call.params(task.params)
        except DoesNotFit as error:
            later = tuple(f"{secret}." for secret in find_secrets(task.params))  # what fits is known when they are
            yield from _problems(task, "params", (m for m in error.misfits if not f"{m.path}.".startswith(later)))

    def _secrets(self, task: Task) -> Iterator[Problem]:
        if self._host.gives_secrets:
            return
        for field, given in (("inputs", task.inputs), ("params", task.params)):
            for secret in find_secrets(given):
                yield Problem(missing_secrets(self._host), task.key, f"{field}{secret}", secret.name)

    def _policy(self, task: Task, name: str, options: object) -> Iterator[Problem]:
        policy = self._host.policies.get(name)
        if policy is None:
            yield Problem(missing_policy(name, self._host), task.key, f"policies.{name}", options)
            return
        try:
            policy_options(policy, options)
        except DoesNotFit as error:
            yield from _problems(task, f"policies.{name}", error.misfits)


def _problems(task: Task, field: str, misfits: Iterable[Misfit]) -> Iterator[Problem]:
    return (_problem(task, field, misfit) for misfit in misfits)


def _problem(task: Task, field: str, misfit: Misfit) -> Problem:
    return Problem(misfit.rule, task.key, f"{field}{misfit.path}", misfit.value)
