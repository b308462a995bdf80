"""Until when a task sleeps."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

import apflow_approval
from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow_hookspecs import as_instant, rfc3339
from apflow_hookspecs.errors import ApflowError

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECOND = 1_000_000
TEN_YEARS = 3653 * 86_400


@pytest.mark.parametrize(
    ("inputs", "seconds"),
    [
        ({"seconds": 0}, 0),
        ({"seconds": 1.5}, 1.5),
        ({"seconds": 30 * 86_400}, 30 * 86_400),
        ({"until": "2025-07-31T14:00:01+02:00"}, 1),
    ],
)
def test_it_ends_at_its_instant(trees, inputs, seconds):
    done = trees.run("sleep_executor", **inputs)
    woken = rfc3339(NOON + round(seconds * SECOND))
    assert (done.status, done.result, done.attempt) == ("completed", {"slept_until": woken, "woken_at": woken}, 1)


def test_its_result_is_that_of_the_readme(trees):
    told = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[-1])
    until = re.findall(r"`(\S+\+02:00)`", README)[0]
    trees.clock = VirtualClock(as_instant(datetime.fromisoformat(until)) - 60 * SECOND)
    done = trees.run("sleep_executor", until=until)
    assert (done.result.keys(), done.result["slept_until"]) == (told.keys(), told["slept_until"])


def test_an_instant_that_has_passed_is_no_wait(trees):
    done = trees.run("sleep_executor", until="1969-07-20T20:17:40Z")
    assert done.result == {"slept_until": "1970-01-01T00:00:00.000000Z", "woken_at": rfc3339(NOON)}


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "inputs.seconds = None: is needed, or input 'until'"),
        ({"seconds": 1, "until": "2031-05-06T12:00:00Z"}, "cannot stand beside input 'seconds'"),
        ({"seconds": TEN_YEARS + 1}, "must be a number of seconds from 0 to ten years"),
        ({"seconds": -0.1}, "inputs.seconds = -0.1: must be a number of seconds from 0 to ten years"),
        ({"until": "2031-05-06T12:00:00"}, "must be an instant with its zone, as in 2031-05-06T12:00:00Z"),
    ],
)
async def test_what_is_wrong_is_told_when_the_tree_is_created(inputs, told):
    async with engine_of(plugins={"approval": apflow_approval}) as engine:
        with pytest.raises(ApflowError, match=re.escape(told)):
            await engine.creator.create_task_tree_from_array([{"executor": "sleep_executor", "inputs": inputs}])
