"""Policies around an attempt: folded by their order, with options that were structured and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from attrs import evolve

from apflow.calls import bad_input
from apflow.config import Settings
from apflow.host import Host
from apflow.known import missing_policy
from apflow.structuring import DoesNotFit, Misfit, structurer
from apflow_hookspecs import EMPTY, CallNext, Policy, Problem, Task, TaskContext, TaskFailed, Wait
from apflow_hookspecs.errors import ConfigError


class Policies:
    """What wraps the executors of a host's tasks.

    Args:
        host: Provides the policies.
        settings: Say which apply to tasks that do not name them.
    """

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self._everywhere = settings.policies
        self._by_executor = settings.executor_policies
        self._has_defaults = bool(settings.policies or settings.executor_policies)

    def concern(self, task: Task) -> bool:
        """Whether anything may wrap a task; cheap, for it is asked of each attempt."""
        return self._has_defaults or bool(task.policies)

    async def around(
        self, task: Task, innermost: CallNext, context: TaskContext, overdue: Callable[[], TaskFailed | None]
    ) -> Any:
        """Call what is innermost through the task's policies.

        Args:
            task: Whose policies.
            innermost: Calls the executor.
            context: Of the attempt.
            overdue: Asked when something is cancelled: the error by which policies get to know that the attempt's time is over;
                None where it is cancelled for another reason.

        Raises:
            TaskFailed: A policy is missing, or its options do not fit (`bad_input`); else what the chain raises.
        """
        chain = innermost
        for policy, options in reversed(self._chain(task)):
            chain = partial(_link, policy, options, chain, context, overdue)
        return await chain()

    def _chain(self, task: Task) -> list[tuple[Policy, Any]]:
        """A task's policies with their options, outermost first; its own options go before those of the configuration."""
        wanted = {**self._everywhere, **self._by_executor.get(task.executor or "", EMPTY), **task.policies}
        chain = []
        for name, raw in wanted.items():
            policy = self._host.policies.get(name)
            if policy is None:
                raise TaskFailed(missing_policy(name, self._host), error="bad_input")
            try:
                chain.append((policy, policy_options(policy, raw)))
            except DoesNotFit as error:
                raise bad_input(f"policies.{name}", error) from None
        return sorted(chain, key=lambda entry: (entry[0].order, entry[0].name))


async def _link(
    policy: Policy, options: Any, inner: CallNext, context: TaskContext, overdue: Callable[[], TaskFailed | None]
) -> Any:
    """One policy around what is inside of it; a `Wait` of its own bears its name."""
    passed = None

    async def call_next() -> Any:
        nonlocal passed
        try:
            passed = await inner()
        except asyncio.CancelledError:
            if (error := overdue()) is None:
                raise
            raise error from None
        return passed

    result = await policy.around(call_next, context, options)
    return evolve(result, policy=policy.name) if isinstance(result, Wait) and result is not passed else result


def policy_options(policy: Policy, raw: Any) -> Any:
    """A policy's options from what a task or the configuration says.

    Raises:
        DoesNotFit: They do not fit.
    """
    if policy.options is None:
        given = structurer(dict[str, Any])(raw)
        if given:
            raise DoesNotFit(tuple(Misfit(f".{name}", f"{policy.name} takes no options", given[name]) for name in given))
        return given
    return structurer(policy.options)(dict(raw) if isinstance(raw, Mapping) else raw)


def refuse_misfits(host: Host, settings: Settings) -> None:
    """Look at the policies of the configuration before any task meets them.

    Raises:
        ConfigError: No plugin provides one of them, or its options do not fit.
    """
    problems = [*_misfits("policies", settings.policies, host)]
    for executor, wanted in settings.executor_policies.items():
        problems += _misfits(f"executor_policies.{executor}", wanted, host)
    if problems:
        raise ConfigError(problems=tuple(problems))


def _misfits(where: str, wanted: Mapping[str, Any], host: Host) -> Iterator[Problem]:
    for name, raw in wanted.items():
        policy = host.policies.get(name)
        if policy is None:
            rule = f"{missing_policy(name, host)} (from the configuration)"
            yield Problem(rule, field=f"{where}.{name}", value=raw)
            continue
        try:
            policy_options(policy, raw)
        except DoesNotFit as error:
            for misfit in error.misfits:
                rule = f"{misfit.rule} (from the configuration)"
                yield Problem(rule, field=f"{where}.{name}{misfit.path}", value=misfit.value)
