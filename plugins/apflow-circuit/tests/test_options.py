"""What a task may say, what the configuration may say, and what every policy does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import task

from apflow import open_engine
from apflow.testing import engine_of
from apflow.testing.policies import PolicyContract
from apflow_circuit import CircuitBreaker
from apflow_circuit.keys import circuit_of
from apflow_hookspecs import Task, TaskContext
from apflow_hookspecs.errors import ConfigError, InvalidTask

from .conftest import each, settle

EXAMPLE = json.loads((Path(__file__).parents[1] / "example.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"failures": 0}, "failures must be a number from 1 to 1,000, and not 0"),
        ({"failures": -3}, "failures must be a number from 1 to 1,000, and not -3"),
        ({"failures": "3"}, "policies.circuit.failures = '3': must be an integer"),
        ({"probes": 1.5}, "policies.circuit.probes = 1.5: must be an integer"),
        ({"window": -1}, "window must be a number of seconds above 0, up to a year, and not -1"),
        ({"reset_after": 0}, "reset_after must be a number of seconds above 0, up to a year, and not 0"),
        ({"reset_after": True}, "policies.circuit.reset_after = True: must be a number"),
        ({"key": "url"}, "key must be null, 'user', or a JSON Pointer into the inputs, as '/url', and not 'url'"),
        ({"on": "timeout"}, "policies.circuit.on = 'timeout': must be an array"),
        ({"on": [500]}, "policies.circuit.on.0 = 500: must be text"),
        ({"when_open": "shrug"}, "policies.circuit.when_open = 'shrug': must be one of 'fail', 'wait'"),
        ({"failure": 3}, "policies.circuit.failure = 3: there is no such"),
    ],
)
async def test_options_that_do_not_fit_are_refused_when_the_tree_is_created(opened, options, told):
    async with opened() as engine:
        with pytest.raises(InvalidTask) as refused:
            await settle(engine, task("t", "ask", policies={"circuit": options}))
    assert told in str(refused.value)


async def test_the_configuration_may_give_every_task_of_an_executor_a_circuit(opened, service):
    async with opened(executor_policies={"ask": {"circuit": {"failures": 2, "reset_after": 3600}}}) as engine:
        assert await settle(engine, *(task(f"t{n}", "ask", dependencies=after(n)) for n in range(3))) == [
            "failed", "failed", "circuit_open",
        ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"executor_policies\.ask\.circuit"):
        async with opened(executor_policies={"ask": {"circuit": {"failures": 0}}}):
            pass


def after(n):
    return [{"id": f"t{n - 1}", "required": False}] if n else []


async def test_a_task_s_own_options_go_before_those_of_the_configuration(opened):
    async with opened(executor_policies={"ask": {"circuit": {"failures": 1, "reset_after": 3600}}}) as engine:
        assert await each(engine, 4) == ["failed", "failed", "failed", "circuit_open"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (None, "ask"),
        ("user", 'ask ["user", "ada"]'),
        ("/url", 'ask ["/url", "[::1]:8080"]'),
        ("/list/1/a~1b", 'ask ["/list/1/a~1b", 7]'),
        ("/list/2", 'ask ["/list/2", null]'),
        ("/list/x/y", 'ask ["/list/x/y", null]'),
        ("/token", 'ask ["/token", {"$secret": "name"}]'),
        ("/odd", 'ask ["/odd", "http://["]'),
        ("/", 'ask ["/", "empty"]'),
    ],
)
def test_the_name_of_a_circuit(key, name):
    inputs = {
        "url": "http://me:secret@[::1]:8080/a",
        "list": [0, {"a/b": 7}],
        "token": {"$secret": "name"},
        "odd": "http://[",
        "": "empty",
    }
    made = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="ask")
    assert circuit_of(TaskContext(task=made, inputs=inputs, user_id="ada"), key) == name


async def test_the_example_fails_twice_and_is_then_refused():
    async with open_engine("memory:") as engine:
        tree = await engine.creator.create_task_tree_from_array(EXAMPLE)
        done = await engine.manager.distribute_task_tree(tree)
    assert [done.tasks[key].error["code"] for key in ("first", "second", "third")] == ["failed", "failed", "circuit_open"]
    assert done.tasks["say"].status == "completed"


class TestCircuit(PolicyContract):
    options = {"failures": 1, "key": "/key"}

    @pytest.fixture
    async def policy(self):
        async with engine_of(plugins={"circuit": CircuitBreaker()}) as engine:
            yield engine.host.policies["circuit"]


class TestCircuitThatWaits(TestCircuit):
    options = {"when_open": "wait"}
