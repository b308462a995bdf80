"""The executor that tries another one again."""

from __future__ import annotations

import asyncio
import copy
import re
from pathlib import Path
from random import Random

import pytest
from attrs import define, field, frozen

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow.testing.executors import ExecutorContract
from apflow.testing.hosting import Handed
from apflow_hookspecs import ExecutableTask, Retry, Task, TaskContext, TaskFailed, Wait, executor
from apflow_retry import RetryExecutor, RetryIf

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
DOWN = ConnectionError("down")


@define
class Outcomes:
    """An executor that ends in turn with each of some outcomes."""

    outcomes: list
    calls: list = field(factory=list)
    cancelled: list = field(factory=list)
    called: asyncio.Event = field(factory=asyncio.Event)
    id = "outcomes"
    summary = "End as it is told"
    input_schema = {"type": "object", "required": ["a"]}
    on_crash = "fail"

    async def execute(self, inputs):
        self.calls.append(dict(inputs))
        self.called.set()
        inputs.clear()
        outcome = self.outcomes[len(self.calls) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def cancel(self, context):
        self.cancelled.append(context)


def run(outcomes, **options):
    """What comes of it, the executor inside, and how many seconds it took."""
    clock, inner = VirtualClock(), Outcomes(outcomes)
    tried = RetryExecutor(inner, **{"jitter": "none", **options})

    async def outcome():
        try:
            return await tried.execute({"a": 1})
        except Exception as error:  # noqa: BLE001 - told to the test
            return error

    return clock.run(outcome()), inner, clock.monotonic()


def test_three_tries_in_all_with_delays_that_double():
    result, inner, seconds = run([DOWN, DOWN, "fine"])
    assert (result, inner.calls) == ("fine", [{"a": 1}] * 3)
    assert seconds == pytest.approx(3, abs=1e-3)


def test_the_last_error_is_raised_as_it_is():
    last = ValueError("last")
    result, inner, seconds = run([DOWN, DOWN, last, "never"])
    assert result is last
    assert len(inner.calls) == 3
    assert seconds == pytest.approx(3, abs=1e-3)


def test_one_try_is_a_call():
    result, inner, _ = run([DOWN, "never"], max_retries=1)
    assert (result, len(inner.calls)) == (DOWN, 1)


def test_what_would_be_the_same_the_next_time_is_not_tried_again():
    error = TaskFailed("no", error="bad_input")
    assert run([error, "never"])[0] is error


def test_options_are_those_of_the_policy():
    pending = {"state": "pending"}
    result, inner, seconds = run(
        [DOWN, pending, "fine"], backoff="fixed", delay=7, on=["OSError"], retry_if=RetryIf("/state", ["pending"])
    )
    assert (result, len(inner.calls)) == ("fine", 3)
    assert seconds == pytest.approx(14, abs=1e-3)


def test_a_deadline_ends_it():
    result, inner, seconds = run([DOWN] * 9, max_retries=9, deadline=10)
    assert (result.error, len(inner.calls)) == ("deadline", 4)
    assert seconds < 10


def test_the_delays_are_drawn_from_its_own_random():
    drawn = Random(7).uniform(0, 100)  # noqa: S311 - a test
    _, _, seconds = run([DOWN, "fine"], jitter="full", delay=100, random=Random(7))  # noqa: S311 - a test
    assert seconds == pytest.approx(drawn, abs=1e-3)


@pytest.mark.parametrize("decision", [Retry(5), Wait.until(1)])
def test_what_is_for_an_engine_passes(decision):
    result, inner, _ = run([decision])
    assert (result, len(inner.calls)) == (decision, 1)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True])
def test_a_number_of_tries_that_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match=f"max_retries = {wrong}: must be an integer from 1"):
        RetryExecutor(Outcomes([]), max_retries=wrong)


def test_an_option_that_there_is_not_is_refused():
    with pytest.raises(TypeError, match="dleay"):
        RetryExecutor(Outcomes([]), dleay=1)


async def test_everything_else_is_that_of_the_executor_inside():
    inner = Outcomes([])
    tried = RetryExecutor(inner)
    assert isinstance(tried, ExecutableTask)
    assert (tried.id, tried.summary, tried.input_schema, tried.on_crash) == (
        "outcomes", "End as it is told", {"type": "object", "required": ["a"]}, "fail",
    )  # fmt: skip
    assert not hasattr(tried, "output_schema")
    await tried.cancel("context")
    assert inner.cancelled == ["context"]
    assert copy.copy(tried).executor is inner


async def test_a_function_is_given_its_context_or_none():
    @executor("look")
    async def look(context: TaskContext, key: str):
        return key, context and context.task.key

    task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="look")
    assert await RetryExecutor(look).execute({"key": "a"}) == ("a", None)
    assert await RetryExecutor(look).execute({"key": "a"}, TaskContext(task=task)) == ("a", "t")


async def test_a_class_that_takes_a_context_gets_it_and_each_time_the_inputs_as_they_were():
    class Takes:
        id = "takes"
        calls = 0

        def execute(self, inputs, context):
            self.calls += 1
            taken = inputs.pop("a")
            if self.calls == 1:
                raise DOWN
            return taken, context

    assert await RetryExecutor(Takes(), delay=0).execute({"a": 1}, "context") == (1, "context")


async def test_cancelling_ends_it_also_between_two_tries():
    inner = Outcomes([DOWN, "never"])
    tried = asyncio.ensure_future(RetryExecutor(inner, delay=1000, jitter="none").execute({}))
    await inner.called.wait()
    tried.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tried
    assert len(inner.calls) == 1


def test_in_a_host_it_stands_beside_the_one_inside_and_tries_are_no_attempts():
    clock, inner = VirtualClock(), Outcomes([DOWN, DOWN, "fine", "again"])

    async def scenario():
        async with engine_of(inner, RetryExecutor(inner, id="patient")) as engine:
            trees = [
                await engine.creator.create_task_tree_from_array([{"executor": id, "inputs": {"a": 1}}])
                for id in ("patient", "outcomes")
            ]
            return [(await engine.manager.distribute_task_tree(tree)).root for tree in trees]

    patient, plain = clock.run(scenario())
    assert [(task.result, task.attempt) for task in (patient, plain)] == [("fine", 1), ("again", 1)]


@frozen
class Nap:
    """Takes as long as it is told."""

    id = "nap"
    summary = "Rest a while"

    async def execute(self, inputs, context):
        if inputs.keys() - {"seconds"} or not isinstance(inputs.get("seconds", 0), int):
            raise TaskFailed(f"it takes seconds, an integer, and not {inputs}", error="bad_input")
        await asyncio.sleep(inputs.get("seconds", 0))
        return {"rested": inputs.get("seconds", 0)}


class TestTheContractOfAllExecutors(ExecutorContract):
    plugin = Handed((RetryExecutor(Nap()),))
    executor_id = "nap"
    refused = {"seconds": {"seconds": "long"}, "sceonds": {"sceonds": 1}}
    lasting = {"seconds": 3600}


def test_the_program_of_the_readme_runs():
    program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    typed: dict = {}
    exec(compile(program, "README.md", "exec", dont_inherit=True), typed)  # noqa: S102 - ours
    assert typed["result"] is None
    assert typed["patient"].id == "fetch"


def test_options_are_given_as_in_a_task_and_the_number_of_tries_by_its_own_name():
    fetch = RetryExecutor(Outcomes([]), retry_if={"path": "/n", "one_of": [3]})
    assert fetch.options.retry_if == RetryIf("/n", [3])
    with pytest.raises(ValueError, match="max_attempts: is called max_retries here, and counts all tries"):
        RetryExecutor(Outcomes([]), max_attempts=2)
