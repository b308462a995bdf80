"""The policy contract: good policies keep it, and each kind of bad one breaks it."""

from __future__ import annotations

import asyncio
import copy
import re

import pytest
from attrs import frozen

from apflow.structuring import DoesNotFit
from apflow.testing import policies
from apflow.testing.policies import PolicyContract
from apflow_hookspecs import Policy, Retry, TaskFailed, Wait


@frozen
class Options:
    attempts: int = 3


@frozen
class Needy:
    attempts: int


async def passes(call_next, context, options):
    return await call_next()


async def patient(call_next, context, options):
    try:
        return await call_next()
    except ConnectionError as error:
        if context.attempt >= options.attempts:
            raise
        raise Retry(after=2.0**context.attempt) from error


class OneByOne:
    """Lets tasks in one after the other."""

    def __init__(self):
        self.free = asyncio.Lock()

    async def __call__(self, call_next, context, options):
        async with self.free:
            return await call_next()


def policy_of(around, options=Options, name="tested", **fields):
    return Policy(name, around, options=options, **{"summary": "Does it", **fields})


class TestPatient(PolicyContract):
    options = {"attempts": 5}

    @pytest.fixture
    def policy(self):
        return policy_of(patient)


class TestOneThatTakesNoOptions(PolicyContract):
    @pytest.fixture
    async def policy(self):
        return policy_of(passes, options=None)


class TestOneThatRepeats(PolicyContract):
    most_calls = 2

    @pytest.fixture
    def policy(self):
        async def again(call_next, context, options):
            try:
                return await call_next()
            except TaskFailed:
                return await call_next()

        return policy_of(again)


async def broken(test, around=passes, *arguments, **fields):
    """A test of the contract, with a policy that breaks it."""
    await getattr(PolicyContract(), test)(policy_of(around, **fields), *arguments)


async def test_a_name_that_no_task_can_say_is_refused():
    with pytest.raises(AssertionError, match="no task can say 'very patient'"):
        await broken("test_it_has_a_name_that_tasks_can_say", name="very patient")


@pytest.mark.parametrize(("summary", "told"), [("", "missing"), ("One.\nTwo.", "one line")])
async def test_a_policy_that_does_not_describe_itself_is_refused(summary, told):
    with pytest.raises(AssertionError, match=told):
        await broken("test_it_describes_itself", summary=summary)


async def test_an_order_that_is_no_number_is_refused():
    with pytest.raises(AssertionError, match="order = '200'"):
        await broken("test_its_order_is_a_number", order="200")


def blocking(call_next, context, options):
    return call_next()


async def of_two(call_next, context):
    return await call_next()


class Blocking:
    def __call__(self, call_next, context, options):
        return call_next()


@pytest.mark.parametrize(
    ("around", "told"),
    [(blocking, "around is not async"), (Blocking(), "around is not async"), (of_two, "has to take call_next, context")],
)
async def test_what_cannot_be_called_as_a_policy_is_refused(around, told):
    with pytest.raises((AssertionError, pytest.fail.Exception), match=told):
        await broken("test_around_is_async_and_takes_three_arguments", around)


async def test_an_object_that_is_called_is_a_policy_too():
    await broken("test_around_is_async_and_takes_three_arguments", OneByOne())


async def test_options_that_need_more_than_the_test_gives_are_told():
    with pytest.raises(DoesNotFit, match="attempts: is missing"):
        await broken("test_options_are_structured", options=Needy)


async def test_one_that_takes_any_option_is_refused():
    with pytest.raises(AssertionError, match="takes an option that there is not"):
        await broken("test_an_option_that_there_is_not_is_refused_by_name", options=dict)


async def test_one_whose_refusal_is_about_something_else_is_refused():
    with pytest.raises(AssertionError, match="attempts: is missing"):
        await broken("test_an_option_that_there_is_not_is_refused_by_name", options=Needy)


async def wraps(call_next, context, options):
    return {"result": await call_next()}


async def truthy(call_next, context, options):
    return await call_next() or None


async def unawaited(call_next, context, options):
    return "from the policy"


async def twice(call_next, context, options):
    await call_next()
    return await call_next()


@pytest.mark.parametrize(
    ("around", "result", "told"),
    [
        (wraps, 1, "{'result': 1} came out of it"),
        (truthy, 0, "None came out of it, and not 0"),
        (unawaited, "from the policy", "called what is inside 0 times"),
        (twice, None, "called what is inside 2 times"),
    ],
)
async def test_one_that_does_not_hand_on_the_result_of_one_call_is_refused(around, result, told):
    with pytest.raises(AssertionError, match=told):
        await broken("test_a_result_passes_unchanged", around, result)


async def test_one_that_hands_on_another_wait_is_refused():
    async def copies(call_next, context, options):
        result = await call_next()
        return copy.copy(result) if isinstance(result, Wait) else result

    with pytest.raises(AssertionError, match="counts as the policy's own"):
        await broken("test_a_wait_of_the_executor_passes_as_it_is", copies)


async def rewords(call_next, context, options):
    try:
        return await call_next()
    except TaskFailed as error:
        raise TaskFailed(error.message, error=error.error) from error


async def retries_anything(call_next, context, options):
    try:
        return await call_next()
    except Exception as error:
        raise Retry from error


async def swallows(call_next, context, options):
    try:
        return await call_next()
    except TaskFailed:
        return None


@pytest.mark.parametrize("around", [rewords, retries_anything, swallows])
async def test_one_that_hands_on_another_error_is_refused(around):
    with pytest.raises(AssertionError, match="and not the same TaskFailed"):
        await broken("test_an_error_that_is_not_for_it_passes_as_it_is", around)


async def test_one_that_tries_again_by_itself_is_refused():
    async def again(call_next, context, options):
        try:
            return await call_next()
        except TaskFailed:
            return await call_next()

    with pytest.raises(AssertionError, match="called what is inside 2 times"):
        await broken("test_an_error_that_is_not_for_it_passes_as_it_is", again)


async def counts_up(call_next, context, options):
    context.attempt += 1
    return await call_next()


async def adds_an_input(call_next, context, options):
    context.inputs["more"] = 1
    return await call_next()


async def marks_the_task_when_it_fails(call_next, context, options):
    try:
        return await call_next()
    except TaskFailed:
        context.task.progress = 0.5
        raise


@pytest.mark.parametrize(
    ("around", "changed"),
    [(counts_up, "attempt"), (adds_an_input, "inputs"), (marks_the_task_when_it_fails, "task.progress")],
)
async def test_one_that_changes_the_context_is_refused(around, changed):
    with pytest.raises(AssertionError, match=re.escape(f"it changed ['{changed}'] of the context")):
        await broken("test_it_leaves_the_context_as_it_was", around)


async def hides_being_cancelled(call_next, context, options):
    try:
        return await call_next()
    except asyncio.CancelledError:
        return "cancelled"


async def fails_when_it_is_cancelled(call_next, context, options):
    try:
        return await call_next()
    except asyncio.CancelledError:
        raise TaskFailed("cancelled") from None


async def lets_it_run_on(call_next, context, options):
    inner = asyncio.ensure_future(call_next())
    while not inner.done():
        try:
            await asyncio.shield(inner)
        except asyncio.CancelledError:
            continue
    return inner.result()


@pytest.mark.parametrize("around", [hides_being_cancelled, fails_when_it_is_cancelled, lets_it_run_on])
async def test_one_that_swallows_being_cancelled_is_refused(around):
    with pytest.raises(AssertionError, match="it swallowed being cancelled at await 1"):
        await broken("test_at_whatever_await_it_is_cancelled_it_passes_that_on", around)


async def test_one_that_keeps_its_place_when_it_is_cancelled_is_refused(monkeypatch):
    monkeypatch.setattr(policies, "GRACE", 0.05)
    free = asyncio.Lock()

    async def leaks(call_next, context, options):
        await free.acquire()
        result = await call_next()
        free.release()
        return result

    with pytest.raises(AssertionError, match="left it blocked"):
        await broken("test_at_whatever_await_it_is_cancelled_it_passes_that_on", leaks)


async def test_one_that_is_out_of_order_after_a_cancelled_attempt_is_refused():
    broken_down = []

    async def fuse(call_next, context, options):
        if broken_down:
            return "out of order"
        try:
            return await call_next()
        except asyncio.CancelledError:
            broken_down.append(context)
            raise

    with pytest.raises(AssertionError, match="it does not let one pass"):
        await broken("test_at_whatever_await_it_is_cancelled_it_passes_that_on", fuse)


async def test_one_that_waits_for_ever_and_ever_is_told(monkeypatch):
    monkeypatch.setattr(policies, "ENOUGH", 20)

    async def dawdles(call_next, context, options):
        for _ in range(50):
            await asyncio.sleep(0)
        return await call_next()

    with pytest.raises(pytest.fail.Exception, match="more than 20 times"):
        await broken("test_at_whatever_await_it_is_cancelled_it_passes_that_on", dawdles)


async def test_one_that_keeps_the_other_task_out_is_refused(monkeypatch):
    monkeypatch.setattr(policies, "GRACE", 0.05)
    with pytest.raises(AssertionError, match="TimeoutError"):
        await broken("test_two_tasks_side_by_side_each_get_their_own_outcome", OneByOne())


async def test_one_that_mixes_tasks_up_is_refused():
    kept = []

    async def mixes(call_next, context, options):
        kept.append(call_next)
        await asyncio.sleep(0)
        return await kept[0]()

    with pytest.raises(AssertionError, match="came out of it"):
        await broken("test_two_tasks_side_by_side_each_get_their_own_outcome", mixes)


async def test_one_that_needs_more_than_an_engine_gives_is_refused():
    async def shy(call_next, context, options):
        if context.attempt == context.task.attempt:
            raise TaskFailed("not for an engine")
        return await call_next()

    with pytest.raises(AssertionError, match="not for an engine"):
        await broken("test_a_task_that_asks_for_it_completes_in_an_engine", shy)
