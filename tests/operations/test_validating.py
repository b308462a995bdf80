from .conftest import PAIR


async def test_validating_tells_the_order_and_stores_nothing(call):
    verdict = await call("tasks.validate", PAIR)
    assert verdict.pop("plan") == {"tasks": 2, "waves": [["leaf"], ["root"]], "critical_path": ["leaf", "root"]}
    assert verdict == {"valid": True, "problems": [], "warnings": [], "tree": None}
    assert (await call("tasks.count"))["total"] == 0


async def test_validating_reports_all_problems_with_task_field_value_and_rule(call):
    tasks = [{"id": "root"}, {"id": "a", "parent_id": "root", "executor": "nobody", "priority": 11}]
    verdict = await call("tasks.validate", tasks)
    assert not verdict["valid"]
    assert {(problem["task"], problem["field"], problem["value"]) for problem in verdict["problems"]} >= {
        ("a", "priority", "11"),
    }
    assert all(problem["rule"] in problem["message"] for problem in verdict["problems"])


async def test_validating_a_circle_gives_no_plan(call):
    tasks = [
        {"id": "a", "executor": "echo", "dependencies": ["b"]},
        {"id": "b", "parent_id": "a", "executor": "echo", "dependencies": ["a"]},
    ]
    verdict = await call("tasks.validate", tasks)
    assert [problem["code"] for problem in verdict["problems"]] == [-32002]
    assert verdict["plan"] is None


async def test_the_tree_that_would_be_stored_is_told_when_asked_for(call):
    verdict = await call(
        "tasks.validate", {"tasks": [*PAIR, {"id": "third", "executor": "echo", "parent_id": "leaf"}], "tree": True}
    )
    stored = await call("tasks.create", [*PAIR, {"id": "third", "executor": "echo", "parent_id": "leaf"}])
    times = {"created_at": None, "updated_at": None}
    assert [{**task, **times} for task in verdict["tree"].pop("tasks")] == [{**task, **times} for task in stored.pop("tasks")]
    assert verdict["tree"] == stored


async def test_the_tree_of_one_task_can_be_asked_for_beside_its_fields(call):
    verdict = await call("tasks.validate", {"id": "alone", "executor": "echo", "tree": True})
    assert [task["key"] for task in verdict["tree"]["tasks"]] == ["alone"]


async def test_there_is_no_tree_of_tasks_with_problems(call):
    verdict = await call("tasks.validate", {"tasks": [*PAIR, PAIR[1]], "tree": True})
    assert (verdict["valid"], verdict["tree"]) == (False, None)


async def test_the_plan_names_one_of_the_longest_chains_by_the_authors_keys(call):
    tasks = [
        {"name": "all"},
        {"name": "report", "parent_id": "all", "executor": "echo", "dependencies": ["parts"]},
        {"name": "parts", "parent_id": "all"},
        {"name": "one", "parent_id": "parts", "executor": "echo", "dependencies": ["fetch"]},
        {"name": "two", "parent_id": "parts", "executor": "echo"},
        {"name": "fetch", "parent_id": "all", "executor": "echo"},
    ]
    plan = (await call("tasks.validate", {"tasks": tasks, "fresh_ids": True}))["plan"]
    assert plan["critical_path"] == ["fetch", "one", "report"]
    assert (plan["tasks"], [set(wave) for wave in plan["waves"]]) == (6, [{"fetch", "two"}, {"one"}, {"report"}])


async def test_warnings_do_not_make_tasks_invalid(call):
    verdict = await call("tasks.validate", {"id": "alone", "executor": "echo", "max_runs": 3})
    assert (verdict["valid"], verdict["problems"]) == (True, [])
    assert [warning["field"] for warning in verdict["warnings"]] == ["max_runs"]
