"""Creating: in one transaction, whole or not at all, whoever else creates or runs."""

from __future__ import annotations

import asyncio

import pytest
from samples import add, group, noop, task

from apflow.testing import engine_of
from apflow_hookspecs import TaskQuery
from apflow_hookspecs.errors import InvalidTask


async def test_a_tree_whose_ids_are_taken_is_refused_and_the_first_stays():
    async with engine_of(add) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "add", a=1)])
        with pytest.raises(InvalidTask, match="'root'"):
            await engine.creator.create_task_tree_from_array([task("root", "add", a=2)])
        done = await engine.manager.distribute_task_tree(tree)

    assert done.root.result == 2


@pytest.mark.parametrize("execute", [False, True])
async def test_a_tree_that_runs_is_not_disturbed_by_another_of_its_id(recorder, execute):
    _, held = recorder.executors()
    async with engine_of(held) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "held")], execute=True)
        await recorder.at_gate.wait()
        with pytest.raises(InvalidTask, match="'root'"):
            await engine.creator.create_task_tree_from_array([task("root", "held")], execute=execute)
        recorder.gate.set()
        done = await engine.manager.wait(tree.id)

    assert done.status == "completed"


async def test_of_two_trees_of_one_id_created_at_once_one_is_stored():
    async with engine_of(noop) as engine:
        results = await asyncio.gather(
            *(engine.creator.create_task_tree_from_array([task("root", "noop")], execute=bool(i)) for i in range(4)),
            return_exceptions=True,
        )
        assert await engine.storage.count(TaskQuery()) in ({"pending": 1}, {"in_progress": 1}, {"completed": 1})

    assert sum(isinstance(result, InvalidTask) for result in results) == 3


async def test_a_refusal_does_not_hurt_those_who_share_the_commit():
    async with engine_of(noop) as engine:
        await engine.creator.create_task_tree_from_array([group("first"), task("taken", "noop", "first")])
        results = await asyncio.gather(
            *(
                engine.creator.create_task_tree_from_array(
                    [group(f"g{i}"), task("taken" if i == 2 else f"t{i}", "noop", f"g{i}")]
                )
                for i in range(5)
            ),
            return_exceptions=True,
        )
        total = sum((await engine.storage.count(TaskQuery())).values())

    assert [isinstance(result, InvalidTask) for result in results] == [False, False, True, False, False]
    assert total == 10


async def test_fresh_ids_let_an_array_be_created_again_and_its_keys_stay():
    tasks = [group("root"), task("a", "add", a=1), task("b", "add", a={"$from": "a"}, dependencies=["a"])]
    async with engine_of(add) as engine:
        trees = [await engine.creator.create_task_tree_from_array(tasks, fresh_ids=True) for _ in range(3)]
        done = [await engine.manager.distribute_task_tree(tree) for tree in trees]

    assert len({t.id for tree in done for t in tree}) == 9
    assert [tree.tasks["b"].result for tree in done] == [3, 3, 3]
    assert tasks == [group("root"), task("a", "add", a=1), task("b", "add", a={"$from": "a"}, dependencies=["a"])]


async def test_what_the_caller_does_to_its_array_afterwards_changes_nothing():
    values = {"a": [1]}
    tasks = [task("root", "add", a=1, b=2)]
    tasks[0]["labels"] = values
    async with engine_of(add) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        tasks[0]["inputs"]["a"] = 100
        values["a"].append(2)
        done = await engine.manager.distribute_task_tree(tree)

    assert done.root.result == 3
    assert done.root.labels == {"a": [1]}
