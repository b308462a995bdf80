"""What is asked, what counts as an answer, and what becomes of the task."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import apflow_approval
from apflow import open_engine
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_approval.asking import verdict
from apflow_hookspecs import as_instant
from apflow_hookspecs.errors import ApflowError, WrongAnswer

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
TREE, RESULT, COMMENTED, _ = map(json.loads, re.findall(r"```json\n(.*?)```", README, re.DOTALL))


def approve(trees, *answers, **inputs):
    return trees.run("approval_executor", answers, **{"prompt": "Sure?", **inputs})


async def waiting(engine, **inputs):
    """A task that was asked to run and waits."""
    task = {"id": "only", "executor": "approval_executor", "inputs": {"prompt": "Sure?", **inputs}}
    tree = await engine.creator.create_task_tree_from_array([task], execute=True)
    async for event in engine.watch(tree.id):
        if event.type == "task_waiting":
            break
    return (await engine.tree("only")).root


def test_an_answer_that_approves_completes_the_task(trees):
    done = approve(trees, "approve")
    assert (done.status, done.result, done.attempt) == ("completed", RESULT, 1)


def test_an_answer_that_rejects_fails_it_by_default(trees):
    done = approve(trees, "reject")
    assert done.error == {"code": "denied", "message": "rejected", "details": {"answer": "reject"}}


def test_an_answer_that_rejects_may_also_complete_it(trees):
    done = approve(trees, "reject", on_reject="complete")
    assert (done.status, done.result) == ("completed", {"answer": "reject", "approved": False})


def test_an_answer_that_decides_nothing_completes_it(trees):
    done = approve(trees, "no", choices=["de", "no", "se"])
    assert (done.status, done.result) == ("completed", {"answer": "no", "approved": None})


def test_a_decision_with_a_comment_fits_the_schema_of_the_readme(trees):
    done = approve(trees, {"approved": True, "comment": "at last"}, **COMMENTED)
    assert done.result == {"answer": {"approved": True, "comment": "at last"}, "approved": True}
    assert approve(trees, {"approved": False}, **COMMENTED).error["code"] == "denied"


@pytest.mark.parametrize(
    ("answer", "choices", "approved"),
    [
        ("Yes", ["Yes", "No"], True),
        ("no", ["yes", "no"], False),
        ("later", ["approve", "reject", "later"], None),
        ("yes", ["yes", "maybe"], None),
        (True, None, True),
        (False, None, False),
        ("yes", None, None),
        (1, None, None),
        ({"approved": False}, None, False),
        ({"approved": "no"}, None, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_whether_an_answer_approves(answer, choices, approved):
    assert verdict(answer, choices) is approved


async def test_prompt_details_choices_and_deadline_make_the_wait():
    async with engine_of(plugins={"approval": apflow_approval}) as engine:
        task = await waiting(engine, details={"ä": [1]}, deadline="2999-05-06T12:00:00+02:00")
    assert task.wait.as_json() == {
        "kind": "input",
        "until": as_instant(datetime(2999, 5, 6, 10, tzinfo=UTC)),
        "prompt": 'Sure?\n{\n  "ä": [\n    1\n  ]\n}',
        "schema": {"enum": ["approve", "reject"]},
        "answer": None,
    }


@pytest.mark.parametrize(
    ("inputs", "wrong", "right"),
    [({}, "maybe", "approve"), ({"choices": ["a", "b"]}, "c", "b"), ({"schema": {"type": "integer", "minimum": 1}}, 0, 3)],
)
async def test_a_wrong_answer_is_refused_and_the_task_keeps_waiting(inputs, wrong, right):
    async with engine_of(plugins={"approval": apflow_approval}) as engine:
        await waiting(engine, **inputs)
        with pytest.raises(WrongAnswer):
            await engine.manager.answer("only", wrong)
        assert (await engine.tree("only")).root.status == "waiting"
        await engine.manager.answer("only", right)
        done = await engine.manager.wait("only")
    assert done.root.result["answer"] == right


@pytest.mark.parametrize("deadline", [60, "2025-07-31T12:01:00Z"])
def test_at_its_deadline_it_fails(trees, deadline):
    done = approve(trees, deadline=deadline)
    assert (done.status, done.error["code"], trees.clock.monotonic()) == ("failed", "timeout", 60)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"choices": ["a"], "schema": {}}, "inputs.schema = {}: cannot stand beside input 'choices'"),
        ({"choices": ["a", "a"]}, "inputs.choices = ['a', 'a']: must be a list of different texts"),
        ({"choices": ["a", " "]}, "none of them empty"),
        ({"deadline": "12:00"}, "inputs.deadline = '12:00': must be an instant with its zone"),
        ({"deadline": -1}, "inputs.deadline = -1: must be a number of seconds from 0 to ten years"),
        ({"deadline": 4e8}, "must be a number of seconds from 0 to ten years"),
    ],
)
async def test_what_is_wrong_is_told_when_the_tree_is_created(inputs, told):
    task = {"id": "only", "executor": "approval_executor", "inputs": {"prompt": "Sure?", **inputs}}
    async with engine_of(plugins={"approval": apflow_approval}) as engine:
        with pytest.raises(ApflowError, match=re.escape(told)):
            await engine.creator.create_task_tree_from_array([task])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inputs": {"choices": {"$from": "wrong", "path": "/list"}}}, "input 'choices' must be a list of different texts"),
        ({"inputs": {"deadline": {"$from": "wrong", "path": "/text"}}}, "input 'deadline' must be an instant with its zone"),
    ],
)
async def test_what_a_reference_brings_is_checked_when_it_is_there(fields, message):
    wrong = {
        "id": "wrong",
        "parent_id": "all",
        "executor": "aggregate_results_executor",
        "inputs": {"list": [], "text": "soon"},
    }
    inputs = {name: {**value, "path": f"/results{value['path']}"} for name, value in fields["inputs"].items()}
    gate = {"id": "gate", "parent_id": "all", "executor": "approval_executor", "inputs": {"prompt": "Sure?", **inputs}}
    async with open_engine("memory:") as engine:
        tree = await engine.creator.create_task_tree_from_array([{"id": "all"}, wrong, gate])
        done = await engine.manager.distribute_task_tree(tree)
    error = done.tasks["gate"].error
    assert (error["code"], error["message"].partition(",")[0]) == ("bad_input", message.partition(",")[0])


@pytest.mark.parametrize(
    ("answer", "statuses"),
    [
        ("approve", ["completed", "completed", "completed", "completed"]),
        ("reject", ["failed", "failed", "skipped", "skipped"]),
    ],
)
def test_the_tree_of_the_readme_goes_on_or_is_skipped(answer, statuses):
    async def decided():
        async with open_engine("memory:") as engine:
            tree = await engine.creator.create_task_tree_from_array(TREE, execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_waiting":
                    break
            await engine.manager.answer("gate", answer)
            return await engine.manager.wait(tree.id)

    done = VirtualClock().run(decided())
    assert [str(task.status) for task in done] == statuses
    if answer == "approve":
        assert done.tasks["report"].result["results"]["said"] == "approve"
