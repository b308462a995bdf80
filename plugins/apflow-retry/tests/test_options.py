"""Options that do not fit are refused when the tree is created."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import fields

from apflow.testing import engine_of
from apflow_hookspecs.errors import InvalidTask
from apflow_retry import Retries, RetryIf, RetryOptions

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


async def refusal(flaky, options):
    async with flaky.opened(None) as engine:
        with pytest.raises(InvalidTask) as refused:
            await engine.creator.create_task_tree_from_array([flaky.task(**options)])
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_attempts": 0}, "policies.retry = {'max_attempts': 0}: max_attempts must be an integer from 1"),
        ({"max_attempts": "3"}, "policies.retry.max_attempts = '3': must be an integer"),
        ({"max_attempts": 2.5}, "policies.retry.max_attempts = 2.5: must be an integer"),
        ({"delay": -1}, "delay must be a number of seconds from 0 to ten years"),
        ({"delay": True}, "policies.retry.delay = True: must be a number"),
        ({"delay": 1e300}, "delay must be a number of seconds from 0 to ten years"),
        ({"delay": 5, "max_delay": 1}, "max_delay must not be less than delay, which is 5"),
        ({"max_delay": "1m"}, "policies.retry.max_delay = '1m': must be a number or null"),
        ({"deadline": 0}, "deadline must be more than 0 seconds"),
        ({"deadline": -5}, "deadline must be a number of seconds from 0 to ten years"),
        ({"backoff": "cubic"}, "policies.retry.backoff = 'cubic': must be one of 'fixed', 'linear', 'exponential'"),
        ({"jitter": None}, "policies.retry.jitter = None: must be one of 'full', 'equal', 'none'"),
        ({"on": "ConnectionError"}, "policies.retry.on = 'ConnectionError': must be an array"),
        ({"on": [7]}, "policies.retry.on.0 = 7: must be text"),
        ({"on": [""]}, "on must be an array of error codes and exception names"),
        ({"retry_if": {"path": "status", "one_of": [1]}}, "path must be a JSON Pointer"),
        ({"retry_if": {"path": "/status"}}, "policies.retry.retry_if.one_of = None: is missing"),
        ({"retry_if": {"path": "/status", "one_of": []}}, "one_of must name a value at least"),
        ({"retry_if": {"path": "/status", "one_of": [1], "equals": 1}}, "policies.retry.retry_if.equals"),
        ({"max_atempts": 3}, "policies.retry.max_atempts = 3: "),
    ],
)
async def test_what_does_not_fit_is_told_with_its_field_its_value_and_its_rule(flaky, options, told):
    assert told in await refusal(flaky, options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_attempts": 2.0}, "max_attempts must be"),
        ({"delay": "1"}, "delay must be"),
        ({"jitter": "some"}, "jitter must be one of 'full', 'equal', 'none'"),
        ({"on": "ConnectionError"}, "on must be an array"),
    ],
)
def test_they_are_refused_in_python_too(options, told):
    with pytest.raises(ValueError, match=told):
        RetryOptions(**options)


async def test_the_configuration_may_ask_for_it():
    everywhere = {"retry": {"max_attempts": 2}}
    async with engine_of(plugins={"retry": Retries()}, policies=everywhere) as engine:
        assert engine.host.policies["retry"].order == 200


@pytest.mark.parametrize("cls", [RetryOptions, RetryIf])
def test_the_readme_has_every_option(cls):
    assert not [field.name for field in fields(cls) if not re.search(rf"[`\"]{field.name}[`\"]", README)]


@pytest.mark.parametrize(
    ("result", "path", "values", "holds"),
    [
        ({"status": 503}, "/status", [500, 503], True),
        ({"status": 200}, "/status", [500, 503], False),
        ({"status": 1}, "/status", [True], False),
        ({"done": False}, "/done", [False], True),
        ({"count": 0}, "/count", [False], False),
        ({"status": None}, "/status", [None], True),
        ({}, "/status", [None], False),
        ({"a/b": {"~": [1, {"c": "x"}]}}, "/a~1b/~0/1/c", ["x"], True),
        ([1, 2], "/2", [None], False),
        ([1, 2], "/-", [None], False),
        ([1, 2], "/01", [2], False),
        ("text", "/0", ["t"], False),
        ("", "", ["", None], True),
        (None, "", ["", None], True),
        ({"": 1}, "/", [1], True),
    ],
)
def test_a_condition_is_on_one_field_of_the_result(result, path, values, holds):
    assert RetryIf(path, values).holds(result) is holds
