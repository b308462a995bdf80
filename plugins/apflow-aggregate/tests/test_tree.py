"""The tree of the README, through the engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

from apflow import open_engine

README = Path(__file__).parents[1] / "README.md"


async def test_the_tree_of_the_readme_gives_what_the_readme_says():
    tree, told = map(json.loads, re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    async with open_engine("memory:") as engine:
        done = await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(tree))
    assert done.status == "completed"
    both = done.tasks["both"].result
    assert (both["summary"], both["result_count"]) == (told["summary"], told["result_count"])
    assert both["results"]["first"]["results"] == {"answer": 42}
    assert both["results"]["second"]["results"] == {"answer": 43}
    assert both["results"]["better"] == told["results"]["better"]


async def test_a_failed_optional_dependency_is_gathered_as_its_error():
    tasks = [
        {"id": "all", "executor": "aggregate_results_executor", "dependencies": [{"id": "bad", "required": False}]},
        {
            "id": "bad",
            "parent_id": "all",
            "executor": "aggregate_results_executor",
            "inputs": {"x": {"$from": "good", "path": "/no"}},
        },
        {"id": "good", "parent_id": "all", "executor": "aggregate_results_executor"},
    ]
    async with open_engine("memory:") as engine:
        done = await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(tasks))
    assert done.tasks["all"].status == "completed"
    assert done.tasks["all"].result["results"]["bad"]["code"] == "reference_missing"
