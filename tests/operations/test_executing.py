import pytest

from apflow_hookspecs.errors import AlreadyExecuting, CannotDelete, InvalidParams, InvalidTransition, NotFound

from .conftest import ADA, PAIR, WAITING


async def test_execution_is_answered_at_once_and_goes_on(call, stored):
    tree = await call("tasks.execute", {"task_id": "root"}, ADA)
    assert tree["run"] == 1
    assert [task["id"] for task in tree["tasks"]] == ["root", "leaf"]
    assert (await call.engine.manager.wait("root", 10)).status == "completed"


async def test_execution_can_be_waited_for(call, stored):
    tree = await call("tasks.execute", {"task_id": "root", "wait": 10}, ADA)
    assert tree["status"] == "completed"
    assert tree["tasks"][0]["result"] == {"value": "root"}


async def test_a_wait_that_is_over_first_tells_how_the_tree_stands(call):
    tree = await call("tasks.execute", {"tasks": WAITING, "wait": 0})
    assert tree["status"] == "in_progress"
    call.doors.opened.set()
    assert (await call.engine.manager.wait("root", 10)).status == "completed"


async def test_tasks_are_created_and_run_in_one_go(call):
    tree = await call("tasks.execute", {"tasks": PAIR, "wait": 10}, ADA)
    assert (tree["id"], tree["status"]) == ("root", "completed")


async def test_warnings_are_told_also_when_execution_is_waited_for(call):
    tree = await call("tasks.execute", {"tasks": [{"name": "a", "executor": "echo", "max_runs": 1}], "wait": 10})
    assert tree["status"] == "completed"
    assert "max_runs" in tree["warnings"][0]


@pytest.mark.parametrize("params", [{}, {"task_id": "root", "tasks": PAIR}])
async def test_execution_takes_either_a_task_or_tasks(call, params):
    with pytest.raises(InvalidParams, match=r"tasks\.execute needs either task_id or tasks"):
        await call("tasks.execute", params)


async def test_one_task_is_executed_with_what_it_needs(call, stored):
    tree = await call("tasks.execute", {"task_id": "leaf", "wait": 10})
    assert {task["key"]: task["status"] for task in tree["tasks"]}["leaf"] == "completed"


async def test_a_completed_tree_is_executed_again_only_on_demand(call):
    await call("tasks.execute", {"tasks": PAIR, "wait": 10})
    with pytest.raises(InvalidTransition, match="tree 'root' has completed; copy it, or ask for rerun"):
        await call("tasks.execute", {"task_id": "root"})
    tree = await call("tasks.execute", {"task_id": "root", "rerun": True, "wait": 10})
    assert (tree["status"], tree["run"]) == ("completed", 2)


async def test_a_tree_that_runs_is_not_executed_again(call):
    await call("tasks.execute", {"tasks": WAITING})
    await call.doors.entered.wait()
    with pytest.raises(AlreadyExecuting):
        await call("tasks.execute", {"task_id": "root"})
    call.doors.opened.set()
    await call.engine.manager.wait("root", 10)


async def test_cancelling_answers_with_the_tasks_covered(call):
    await call("tasks.execute", {"tasks": WAITING})
    await call.doors.entered.wait()
    covered = await call("tasks.cancel", {"task_id": "root"})
    assert {task["id"] for task in covered["tasks"]} == {"root", "leaf"}
    assert (await call.engine.manager.wait("root", 10)).status == "cancelled"


async def test_several_tasks_are_cancelled_at_once_and_each_is_told_once(call):
    await call("tasks.execute", {"tasks": WAITING})
    await call.doors.entered.wait()
    covered = await call("tasks.cancel", {"task_ids": ["leaf", "root", "leaf"]})
    assert sorted(task["id"] for task in covered["tasks"]) == ["leaf", "root"]
    await call.engine.manager.wait("root", 10)


async def test_nothing_is_cancelled_when_one_of_the_tasks_is_not_there(call):
    await call("tasks.execute", {"tasks": WAITING})
    await call.doors.entered.wait()
    with pytest.raises(NotFound, match="nowhere"):
        await call("tasks.cancel", {"task_ids": ["leaf", "nowhere"]})
    call.doors.opened.set()
    assert (await call.engine.manager.wait("root", 10)).status == "completed"


async def test_cancelling_needs_to_know_what(call):
    with pytest.raises(InvalidParams, match=r"tasks\.cancel needs task_id or task_ids"):
        await call("tasks.cancel", {"task_ids": []})


async def test_deleting_tells_how_many_tasks_are_gone(call, stored):
    assert await call("tasks.delete", {"task_id": "root"}, ADA) == {"deleted": 2}
    assert (await call("tasks.count"))["total"] == 0


async def test_a_tree_that_runs_is_not_deleted(call):
    await call("tasks.execute", {"tasks": WAITING})
    await call.doors.entered.wait()
    with pytest.raises(CannotDelete):
        await call("tasks.delete", {"task_id": "root"})
    call.doors.opened.set()
    await call.engine.manager.wait("root", 10)


async def test_what_runs_is_listed_and_counted(call, stored):
    assert await call("tasks.running.list") == {"tasks": []}
    await call("tasks.execute", {"tasks": WAITING, "fresh_ids": True}, ADA)
    await call.doors.entered.wait()
    running = (await call("tasks.running.list"))["tasks"]
    assert [(task["key"], task["tree"]["status"], task["tree"]["run"]) for task in running] == [("root", "in_progress", 1)]
    assert await call("tasks.running.count", {"user_id": "ada"}) == {"total": 1}
    assert await call("tasks.running.count", {"user_id": "bob"}) == {"total": 0}
    call.doors.opened.set()
    await call.engine.manager.wait(running[0]["id"], 10)
    assert await call("tasks.running.count") == {"total": 0}


async def test_the_standing_of_tasks_says_whether_their_tree_runs(call, stored):
    await call("tasks.execute", {"tasks": [{"id": "slow", "executor": "wait"}]})
    await call.doors.entered.wait()
    assert await call("tasks.running.status", {"task_ids": ["slow", "leaf"]}) == {
        "tasks": [
            {"task_id": "slow", "status": "in_progress", "progress": 0.0, "running": True},
            {"task_id": "leaf", "status": "pending", "progress": 0.0, "running": False},
        ]
    }
    call.doors.opened.set()
    await call.engine.manager.wait("slow", 10)


async def test_a_remote_caller_waits_no_longer_than_the_operator_allows():
    import asyncio

    from apflow.testing import engine_of
    from apflow_hookspecs import Caller, executor

    @executor("stay")
    async def stay():
        await asyncio.Event().wait()

    async with engine_of(stay, max_wait=0.01) as engine:
        remote = Caller("ada", frozenset({"submit"}))
        view = await engine.call("tasks.execute", {"tasks": [{"executor": "stay"}], "wait": 1e9}, remote)
    assert view["status"] == "in_progress"
