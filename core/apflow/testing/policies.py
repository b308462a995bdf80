"""The policy contract as tests: what every policy does, whatever it is for.

    import pytest
    from apflow.testing.policies import PolicyContract

    class TestPatient(PolicyContract):
        options = {"attempts": 5}

        @pytest.fixture
        def policy(self):
            return patient

The fixture may be async, where the policy needs an engine around it. The attempts are made by hand, and one by an engine.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar

import pytest
from attrs import asdict, define

from apflow.policies import policy_options
from apflow.structuring import DoesNotFit
from apflow.testing.faults import CancelledAt
from apflow.testing.hosting import engine_of
from apflow_hookspecs import EMPTY, CallNext, Json, Policy, Task, TaskContext, TaskFailed, Wait, executor

GRACE = 10.0
"""Seconds that an attempt may take; a healthy one takes none of them."""
ENOUGH = 1000
RESULTS = [{"rows": [1, 2]}, [], "", 0, 0.0, False, None]


class PolicyContract:
    """Inherit from it, name the class `Test…`, and give it a fixture `policy`, sync or async.

    Attributes:
        options: What a task says to it so that it lets pass what runs side by side: two attempts, and some after each other.
        most_calls: How often it may call what is inside of it in one attempt.
    """

    options: ClassVar[Mapping[str, Any]] = EMPTY
    most_calls: ClassVar[int] = 1

    pytestmark = pytest.mark.asyncio

    def error(self) -> Exception:
        """One that it does not handle."""
        return TaskFailed("not for a policy", error="denied")

    def context(self, key: str) -> TaskContext:
        """The first attempt of a task, whose inputs no other task has."""
        inputs, since = {"key": key}, time.time_ns() // 1000
        task = Task(n=0, id=key, key=key, name=key, tree_id=key, executor="tested", inputs=inputs, user_id="ada", attempt=1)
        return TaskContext(task=task, inputs=dict(inputs), user_id="ada", since=since, idempotency_key=f"{key}:1")

    def attempt(self, policy: Policy, inner: CallNext, key: str = "tested") -> Awaitable[Any]:
        """An attempt of the task `key`, with `inner` inside of the policy."""
        return self.attempt_of(self.context(key), policy, inner)

    def attempt_of(self, context: TaskContext, policy: Policy, inner: CallNext) -> Awaitable[Any]:
        """Likewise, with a context."""
        return policy.around(inner, context, policy_options(policy, dict(self.options)))

    async def test_it_has_a_name_that_tasks_can_say(self, policy: Policy) -> None:
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", policy.name), f"no task can say {policy.name!r}"

    async def test_it_describes_itself(self, policy: Policy) -> None:
        assert policy.summary.strip(), "a summary is missing"
        assert "\n" not in policy.summary, "a summary is one line"

    async def test_its_order_is_a_number(self, policy: Policy) -> None:
        assert type(policy.order) is int, f"order = {policy.order!r} is not an integer"

    async def test_around_is_async_and_takes_three_arguments(self, policy: Policy) -> None:
        called = policy.around if inspect.isroutine(policy.around) else getattr(policy.around, "__call__", None)  # noqa: B004
        assert inspect.iscoroutinefunction(policy.around) or inspect.iscoroutinefunction(called), "around is not async"
        try:
            inspect.signature(policy.around).bind("call_next", "context", "options")
        except TypeError as error:
            pytest.fail(f"around has to take call_next, context and options: {error}")

    async def test_options_are_structured(self, policy: Policy) -> None:
        structured = policy_options(policy, dict(self.options))
        assert policy.options is None or isinstance(structured, policy.options)

    async def test_an_option_that_there_is_not_is_refused_by_name(self, policy: Policy) -> None:
        if policy.options is None:
            pytest.skip("it takes no options")
        told = None
        try:
            policy_options(policy, {**self.options, "no_such_option": 1})
        except DoesNotFit as error:
            told = error
        assert told is not None, "it takes an option that there is not"
        assert [misfit.path for misfit in told.misfits] == [".no_such_option"], str(told)

    @pytest.mark.parametrize("result", RESULTS, ids=repr)
    async def test_a_result_passes_unchanged(self, policy: Policy, result: Json) -> None:
        inner = Inner(result)
        told, shown = await asyncio.wait_for(self.attempt(policy, inner), GRACE), repr(result)
        assert repr(told) == shown, f"{told!r} came out of it, and not {shown}"
        assert 1 <= inner.calls <= self.most_calls, f"it called what is inside {inner.calls} times"

    async def test_a_wait_of_the_executor_passes_as_it_is(self, policy: Policy) -> None:
        wait = Wait.until(time.time_ns() // 1000 + 1_000_000)
        told = await asyncio.wait_for(self.attempt(policy, Inner(wait)), GRACE)
        assert told is wait, f"{told!r} came out of it: one that is not the same counts as the policy's own"

    async def test_an_error_that_is_not_for_it_passes_as_it_is(self, policy: Policy) -> None:
        inner = Inner(self.error())
        told = await _outcome(self.attempt(policy, inner))
        assert told is inner.outcome, f"{told!r} came out of it, and not the same {inner.outcome!r}"
        assert inner.calls <= self.most_calls, f"it called what is inside {inner.calls} times"

    async def test_it_leaves_the_context_as_it_was(self, policy: Policy) -> None:
        for key, outcome in (("good", None), ("bad", self.error())):
            context = self.context(key)
            before = _shown(context)
            await _outcome(self.attempt_of(context, policy, Inner(outcome)))
            after = _shown(context)
            changed = [name for name in before if before[name] != after[name]]
            assert changed == [], f"it changed {changed} of the context"

    async def test_at_whatever_await_it_is_cancelled_it_passes_that_on(self, policy: Policy) -> None:
        for k in range(1, ENOUGH):
            coroutine = CancelledAt(_awaited(self.attempt(policy, Inner(k), f"cancelled-{k}")), k)
            attempt = asyncio.get_running_loop().create_task(coroutine)
            await asyncio.wait({attempt}, timeout=GRACE)
            assert attempt.done(), f"it did not end when it was cancelled, or what came before left it blocked (await {k})"
            if coroutine.awaits < k:
                break
            assert attempt.cancelled(), f"it swallowed being cancelled at await {k}"
        else:
            pytest.fail(f"it waits more than {ENOUGH} times")
        assert attempt.result() == k, "after others were cancelled it does not let one pass"

    async def test_two_tasks_side_by_side_each_get_their_own_outcome(self, policy: Policy) -> None:
        both_are_in = asyncio.Barrier(2)
        inner = [Inner("good", both_are_in), Inner(self.error(), both_are_in)]
        told = await asyncio.gather(*(_outcome(self.attempt(policy, each, f"side-{n}")) for n, each in enumerate(inner)))
        assert told == [each.outcome for each in inner], f"{told} came out of it"

    async def test_a_task_that_asks_for_it_completes_in_an_engine(self, policy: Policy) -> None:
        @executor("tested", summary="Hand back what it is given")
        async def tested(key: str) -> str:
            return key

        given = {"inputs": {"key": "engine"}, "policies": {policy.name: dict(self.options)}}
        async with engine_of(tested, policies=[policy]) as engine:
            tree = await engine.creator.create_task_tree_from_array([{"id": "tested", "executor": "tested", **given}])
            done = await asyncio.wait_for(engine.manager.distribute_task_tree(tree), GRACE)
        assert (done.root.status, done.root.result, done.root.attempt) == ("completed", "engine", 1), done.root.error


@define
class Inner:
    """What is inside of a policy: it ends with an outcome, in its first call once all have begun who are to be together."""

    outcome: Any
    together: asyncio.Barrier | None = None
    calls: int = 0

    async def __call__(self) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if self.together is not None and self.calls == 1:
            await self.together.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _outcome(attempt: Awaitable[Any]) -> Any:
    """What comes out of an attempt, an exception too."""
    try:
        return await asyncio.wait_for(attempt, GRACE)
    except Exception as error:  # noqa: BLE001 - whatever a policy raises
        return error


def _shown(context: TaskContext) -> dict[str, str]:
    """A context as text, field by field, with the task's."""
    fields = {**asdict(context, recurse=False), **{f"task.{k}": v for k, v in asdict(context.task, recurse=False).items()}}
    return {name: repr(value) for name, value in fields.items()}
