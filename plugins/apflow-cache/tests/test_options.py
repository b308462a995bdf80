"""What a task and the operator may say, and what is refused when they say it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from attrs import asdict, fields

from apflow.testing import engine_of
from apflow_cache import Cache
from apflow_cache.options import Bounds, Options
from apflow_hookspecs.errors import ApflowError, ConfigError

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ttl": "1h"}, "policies.cache.ttl = '1h': must be a number"),
        ({"ttl": -1}, "ttl must be a number of seconds above 0, up to ten years, and not -1"),
        ({"ttl": 0}, "ttl must be a number of seconds above 0, up to ten years, and not 0"),
        ({"ttl": 1e300}, "ttl must be a number of seconds above 0, up to ten years, and not 1e+300"),
        ({"ttl": True}, "policies.cache.ttl = True: must be a number"),
        ({"scope": "tree"}, "policies.cache.scope = 'tree': must be one of 'user', 'all'"),
        ({"version": 2}, "policies.cache.version = 2: must be text"),
        ({"refresh": 1}, "policies.cache.refresh = 1: must be true or false"),
        ({"tll": 60}, "policies.cache.tll = 60: "),
        ([], "policies.cache = []: must be an object"),
    ],
    ids=str,
)
async def test_options_that_do_not_fit_are_refused_when_the_task_is_created(options, told, bench):
    async with engine_of(*bench.executors(), plugins={"cache": Cache()}) as engine:
        with pytest.raises(ApflowError, match=re.escape(told)):
            await engine.creator.create_task_tree_from_array(
                [{"id": "root", "executor": "slow", "policies": {"cache": options}}]
            )


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"max_result_bytes": -1}, "max_result_bytes must be a number of bytes, not below 0, and not -1"),
        ({"max_result_bytes": "1 MB"}, "must be an integer"),
        ({"max_results_bytes": 1}, "did you mean max_result_bytes?"),
    ],
    ids=str,
)
async def test_a_section_that_does_not_fit_keeps_the_engine_from_opening(section, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        async with engine_of(plugins={"cache": Cache()}, sections={"cache": section}):
            pass


@pytest.mark.parametrize("options", [Options, Bounds])
def test_the_readme_names_every_option_with_its_default(options):
    told = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", README, re.MULTILINE))
    assert {option.name: json.loads(told[option.name]) for option in fields(options)} == asdict(options())
