"""What a task may say, for whom a limit counts, and what every policy does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from samples import task

import apflow_sqlite
from apflow import open_engine
from apflow.testing import engine_of
from apflow.testing.policies import PolicyContract
from apflow_hookspecs import Task, TaskContext
from apflow_hookspecs.errors import InvalidTask
from apflow_limit import Limiter
from apflow_limit.keys import counted_for
from apflow_limit.options import RATE

from .conftest import limited, settle, statuses, waiting

EXAMPLE = json.loads((Path(__file__).parents[1] / "example.json").read_text(encoding="utf-8"))
RATE_RULE = "rate must be up to 100,000 in so many seconds, minutes, hours or days, as '10/second' or '5/10 seconds', and not "


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "must have a concurrency or a rate"),
        ({"concurrency": 0}, "concurrency must be a number from 1, and not 0"),
        ({"concurrency": -1}, "concurrency must be a number from 1, and not -1"),
        ({"concurrency": "2"}, "policies.limit.concurrency = '2': must be an integer or null"),
        ({"rate": 10}, "policies.limit.rate = 10: must be text or null"),
        ({"rate": "fast"}, f"{RATE_RULE}'fast'"),
        ({"rate": "0/second"}, f"{RATE_RULE}'0/second'"),
        ({"rate": "5/0 seconds"}, f"{RATE_RULE}'5/0 seconds'"),
        ({"rate": "-5/second"}, f"{RATE_RULE}'-5/second'"),
        ({"rate": "10/second; 5/minute"}, f"{RATE_RULE}'10/second; 5/minute'"),
        ({"rate": "100001/day"}, f"{RATE_RULE}'100001/day'"),
        ({"rate": "1/day", "key": "x"}, "'executor', 'user', or a JSON Pointer into the inputs, as '/url', and not 'x'"),
        ({"rate": "1/day", "when_over": "x"}, "policies.limit.when_over = 'x': must be one of 'wait', 'fail'"),
        ({"rate": "1/day", "concurency": 1}, "policies.limit.concurency = 1: there is no such"),
    ],
)  # fmt: skip
async def test_options_that_do_not_fit_are_refused_when_the_tree_is_created(opened, options, told):
    async with opened() as engine:
        with pytest.raises(InvalidTask) as refused:
            await settle(engine, task("t", "work", policies={"limit": options}))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "rate", ["10/second", "100 / minute", "5/10 seconds", "3 per hour", "3 per 2 days", "1/MINUTE", " 100000/day "]
)
def test_every_rate_that_is_taken_is_understood_by_the_library(rate):
    from limits import parse

    assert RATE.fullmatch(rate)["amount"] == str(parse(rate).amount)


def test_executors_users_and_hosts_have_limits_of_their_own(clock, opened, work):
    async def scenario():
        async with opened() as engine:
            options = {"rate": "1/minute", "when_over": "fail"}
            told = {}
            for user in ("ada", "ada", "bob"):
                told.setdefault(user, []).extend(
                    statuses(await settle(engine, limited("t", key="user", **options), user_id=user))
                )
            for url in ("https://one.example/a", "https://one.example/b", "https://two.example/a"):
                task = limited("t", key="/url", inputs={"url": url}, **options)
                told.setdefault(url[:11], []).extend(statuses(await settle(engine, task)))
            return told

    once = ["completed", "rate_limited"]
    assert clock.run(scenario()) == {"ada": once, "bob": once[:1], "https://one": once, "https://two": once[:1]}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("executor", "executor 'work'"),
        ("user", "the tasks of 'ada'"),
        ("/url", "executor 'work' with /url = one.example"),
        ("/list/1/a~1b", "executor 'work' with /list/1/a~1b = 7"),
        ("/list/2", "executor 'work' with /list/2 = null"),
        ("/n/x", "executor 'work' with /n/x = null"),
        ("/token", 'executor \'work\' with /token = {"$secret": "name"}'),
    ],
)
def test_the_name_of_what_shares_a_limit(key, name):
    inputs = {"url": "https://me:pw@ONE.example:8080/a", "list": [0, {"a/b": 7}], "n": 1, "token": {"$secret": "name"}}
    made = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="work")
    assert counted_for(TaskContext(task=made, inputs=inputs, user_id="ada"), key) == name
    assert counted_for(TaskContext(task=made), "user") == "nobody's tasks"


def test_importing_the_plugin_does_not_import_the_library():
    code = "import apflow_limit, sys; assert 'limits' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


async def test_those_who_wait_go_on_after_a_restart(work, tmp_path):
    url = f"sqlite:///{tmp_path / 'flow.db'}"
    options = {"rate": "1/second"}

    def opened():
        return engine_of(work.executor, plugins={"limit": Limiter(), "sqlite": apflow_sqlite}, url=url)

    async with opened() as engine:
        tree = await waiting(engine, *[limited(f"t{n}", **options) for n in range(3)])
    async with opened() as engine:
        await engine.manager.resume()
        done = await engine.manager.wait(tree.id)
    assert statuses(done) == ["completed"] * 3
    assert sorted(work.keys) == ["t0", "t1", "t2"]
    assert [task.attempt for task in done if task.executor] == [1, 1, 1]


async def test_the_example_runs():
    async with open_engine("memory:") as engine:
        tree = await engine.creator.create_task_tree_from_array(EXAMPLE)
        done = await engine.manager.distribute_task_tree(tree)
    assert done.status == "completed"
    assert done.tasks["say"].result["result_count"] == 3


class TestConcurrency(PolicyContract):
    options = {"concurrency": 2}

    @pytest.fixture
    def policy(self):
        return next(iter(Limiter().apflow_policies()))


class TestRate(TestConcurrency):
    options = {"concurrency": 2, "rate": "1000/second", "key": "/key"}
