"""Who may have a secret, when a tree is created and at each attempt."""

from __future__ import annotations

import pytest

from apflow.testing import engine_of
from apflow_hookspecs import Caller, hookimpl
from apflow_hookspecs.errors import InvalidTask, PermissionDenied
from apflow_secrets import Secrets

from .conftest import CANARY, REMOTE, secret, take

OUTSIDE = "is none that tasks of the executor 'take' may have here"


async def test_an_executor_that_is_named_gets_it(asking):
    ask = asking()
    assert await ask.problems(value=secret()) == []
    assert await ask.value() == CANARY


async def test_a_star_is_every_executor(asking):
    ask = asking(executors=["*"])
    assert await ask.problems(executor="other", value=secret()) == []
    assert await ask.value(executor="other") == CANARY


async def test_an_executor_that_is_not_named_does_not_get_it(asking):
    ask = asking(executors=["take", "rest_executor"])
    told = "is not for the executor 'other', but for take, rest_executor"
    (problem,) = await ask.problems(executor="other", value=secret())
    assert problem["message"] == f"task 't', inputs.value = {{'$secret': 'token'}}: the secret {told}"
    assert problem["code"] == PermissionDenied.code
    assert await ask.refusal(executor="other") == f"the secret 'token' {told}"


async def test_an_unknown_name_is_refused_with_the_nearest_one(asking):
    ask = asking()
    (problem,) = await ask.problems(value=secret("tokken"))
    assert problem["message"].endswith("{'$secret': 'tokken'}: the secret is unknown; did you mean 'token'?")
    assert problem["code"] == InvalidTask.code
    assert await ask.refusal("something") == "the secret 'something' is unknown; the section [secrets.known] does not have it"


async def test_a_tree_from_outside_gets_what_says_so(asking):
    ask = asking(remote=True)
    assert await ask.problems(caller=REMOTE, value=secret()) == []
    assert await ask.value(origin="remote") == CANARY


@pytest.mark.parametrize("options", [{}, {"executors": ["other"]}, {"executors": ["other"], "remote": True}])
async def test_from_outside_nobody_can_tell_what_there_is(asking, options):
    ask = asking(**options)
    answers = [await ask.problems(caller=REMOTE, value=secret(name)) for name in ("token", "tokem")]
    for name, (problem,) in zip(("token", "tokem"), answers, strict=True):
        assert problem["message"].endswith(f": the secret {OUTSIDE}")
        assert problem["code"] == PermissionDenied.code
        assert await ask.refusal(name, origin="remote") == f"the secret {name!r} {OUTSIDE}"


async def test_the_place_is_told_at_any_depth_and_each_reference_once(asking):
    ask = asking()
    found = await ask.problems(
        value={"headers": {"Authorization": secret("a")}, "list": [0, secret("b")], "known": secret()},
        params={"options": {"key": secret("c")}},
    )
    assert sorted(problem["field"] for problem in found) == [
        "inputs.value.headers.Authorization", "inputs.value.list.1", "params.options.key",
    ]  # fmt: skip


async def test_what_stands_for_itself_or_is_written_otherwise_names_no_secret(asking):
    unknown = secret("unknown")
    value = {"literal": {"$literal": unknown}, "word": "$secret", "more": {"$secrets": "unknown"}}
    assert await asking().problems(value=value, params={"reference": {"$from": "a", "path": unknown}}) == []


async def test_nothing_is_given_before_the_configuration_was_read():
    from apflow_hookspecs import Task, TaskContext
    from apflow_secrets import Secrets

    task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="take", inputs={"value": secret()})
    assert await Secrets().apflow_resolve_secret("token", task, TaskContext(task=task)) is None


async def test_a_name_as_long_as_a_book_is_shortened(asking):
    told = await asking().refusal("x\x1b\n" * 10_000)
    assert len(told) < 300
    assert "\x1b" not in told
    assert "\n" not in told


async def test_a_local_caller_is_told_more_than_one_from_outside(asking):
    ask = asking()
    assert await ask.problems(caller=Caller.local(), value=secret()) == []
    assert await ask.problems(caller=REMOTE, value=secret()) != []


class Vault:
    """Another plugin that knows secrets."""

    @hookimpl
    def apflow_resolve_secret(self, name):
        return CANARY if name == "elsewhere" else None


@pytest.mark.parametrize("exclusive", [True, False])
async def test_another_plugin_is_asked_for_what_is_not_listed_where_that_is_said(exclusive):
    sections = {"secrets": {"known": {}, "exclusive": exclusive}}
    tasks = [{"id": name, "executor": "take", "inputs": {"value": secret(name)}} for name in ("elsewhere", "nowhere")]
    async with engine_of(take, plugins={"a": Secrets(), "b": Vault()}, sections=sections) as engine:
        creator, manager = engine.creator, engine.manager
        if exclusive:
            for each in tasks:
                with pytest.raises(InvalidTask, match=r"is unknown"):
                    await creator.create_task_tree_from_array([each])
            return
        ends = [await manager.distribute_task_tree(await creator.create_task_tree_from_array([each])) for each in tasks]
    assert ends[0].root.result == "taken"
    assert (ends[1].root.error["code"], ends[1].root.error["message"]) == (
        "denied", "there is no secret 'nowhere': no plugin knows it",
    )  # fmt: skip
