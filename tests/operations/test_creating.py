import pytest

from apflow_hookspecs import Caller
from apflow_hookspecs.errors import ExecutorNotFound, InvalidParams, InvalidTask, Overloaded, PermissionDenied, TooLarge

from .conftest import ADA, ADMIN, LOCAL, PAIR

ONE = {"name": "alone", "executor": "echo", "inputs": {"value": "x"}}


@pytest.mark.parametrize("params", [PAIR, {"tasks": PAIR}], ids=["an array", "tasks"])
async def test_a_tree_is_created_from_its_array_however_it_is_handed_over(call, params):
    tree = await call("tasks.create", params)
    assert [task["id"] for task in tree["tasks"]] == ["root", "leaf"]
    assert (tree["id"], tree["status"], tree["run"]) == ("root", "pending", 0)
    assert (await call("tasks.get", ["leaf"]))["parent_id"] == "root"


async def test_a_tree_is_created_from_one_task(call):
    tree = await call("tasks.create", ONE)
    assert [task["name"] for task in tree["tasks"]] == ["alone"]


async def test_one_task_can_be_executed_as_it_is_created(call):
    tree = await call("tasks.create", {**ONE, "execute": True})
    assert tree["run"] == 1
    done = await call.engine.manager.wait(tree["id"], 10)
    assert done.status == "completed"


async def test_a_misspelt_parameter_is_not_taken_for_a_task(call):
    with pytest.raises(
        InvalidParams, match=r"task = .*unknown parameter; known: tasks, execute, fresh_ids, .*; did you mean 'tasks'"
    ):
        await call("tasks.create", {"task": ONE})


async def test_an_array_of_arrays_is_not_an_array_of_tasks(call):
    with pytest.raises(InvalidTask, match="must be an object"):
        await call("tasks.create", [PAIR])


async def test_an_empty_object_lacks_its_tasks(call):
    with pytest.raises(InvalidParams, match="parameter 'tasks' is missing"):
        await call("tasks.create", {})


async def test_nothing_is_stored_when_anything_is_wrong(call):
    with pytest.raises(ExecutorNotFound):
        await call("tasks.create", [*PAIR, {"id": "third", "parent_id": "root", "executor": "nobody"}])
    assert await call("tasks.count") == {"total": 0, "counts": {}}


async def test_the_same_array_can_be_created_again_with_fresh_ids(call):
    await call("tasks.create", PAIR)
    with pytest.raises(InvalidTask, match="root"):
        await call("tasks.create", PAIR)
    again = await call("tasks.create", {"tasks": PAIR, "fresh_ids": True})
    assert [task["key"] for task in again["tasks"]] == ["root", "leaf"]
    assert again["id"] != "root"


async def test_what_was_dropped_is_told_beside_the_tree(call):
    tree = await call("tasks.create", {**ONE, "max_runs": 3})
    assert len(tree["warnings"]) == 1
    assert "max_runs" in tree["warnings"][0]


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


@pytest.mark.parametrize("settings", [{"max_tasks_per_tree": 1}], indirect=True)
async def test_the_size_of_a_tree_is_limited_for_remote_callers_only(call):
    with pytest.raises(TooLarge, match=r"2 tasks, and a remote caller's tree may have at most 1 \(max_tasks_per_tree\)"):
        await call("tasks.create", PAIR, ADMIN)
    with pytest.raises(TooLarge):
        await call("tasks.validate", PAIR, ADMIN)
    assert await call("tasks.create", PAIR, LOCAL)


@pytest.mark.parametrize("settings", [{"max_open_tasks": 3}], indirect=True)
async def test_the_number_of_open_tasks_is_limited_for_remote_callers_only(call):
    await call("tasks.create", PAIR, ADA)
    with pytest.raises(
        Overloaded, match=r"2 tasks are open, and with 2 more there would be over 3 \(max_open_tasks\)"
    ) as refused:
        await call("tasks.create", {"tasks": PAIR, "fresh_ids": True}, ADA)
    assert refused.value.retry_after > 0
    assert await call("tasks.create", {"tasks": PAIR, "fresh_ids": True}, LOCAL)


async def test_a_users_tree_is_its_own(call):
    tree = await call("tasks.create", PAIR, ADA)
    assert {task["user_id"] for task in tree["tasks"]} == {"ada"}


async def test_a_user_cannot_create_for_another(call):
    with pytest.raises(PermissionDenied, match="task 'alone', user_id = 'bob': must be the caller's own, 'ada', or absent"):
        await call("tasks.create", {**ONE, "user_id": "bob"}, ADA)
    assert (await call("tasks.count"))["total"] == 0


async def test_an_administrator_and_the_user_of_the_machine_may_create_for_anybody(call):
    for caller in (ADMIN, LOCAL):
        tree = await call("tasks.create", {**ONE, "user_id": "bob"}, caller)
        assert tree["tasks"][0]["user_id"] == "bob"


async def test_a_caller_who_is_nobody_may_create_only_as_administrator(call):
    with pytest.raises(PermissionDenied, match="a caller without a user needs the scope 'admin'"):
        await call("tasks.create", ONE, Caller(scopes=frozenset({"submit"})))
