import re

import pytest

from apflow_hookspecs.errors import InvalidParams, NotFound

from .conftest import ADA, ADMIN, LOCAL, PAIR


async def test_a_root_comes_with_how_its_tree_stands(call, stored):
    root = await call("tasks.get", {"task_id": "root"})
    assert root["tree"] == {"id": "root", "status": "pending", "progress": 0.0, "run": 0}
    assert root["dependencies"] == [{"task_id": "leaf", "key": "leaf", "required": True}]


async def test_another_task_comes_alone(call, stored):
    leaf = await call("tasks.get", {"task_id": "leaf"})
    assert leaf["parent_id"] == "root"
    assert "tree" not in leaf


async def test_a_group_comes_with_the_progress_of_what_is_under_it(call):
    tasks = [
        {"id": "root"},
        {"id": "g", "parent_id": "root"},
        {"id": "done", "parent_id": "g", "executor": "echo"},
        {"id": "slow", "parent_id": "g", "executor": "wait", "dependencies": ["done"]},
    ]
    await call("tasks.execute", {"tasks": tasks})
    await call.doors.entered.wait()
    for task_id in ("g", "root"):
        assert (await call("tasks.get", [task_id]))["progress"] == 0.5
    assert {task["id"]: task["progress"] for task in (await call("tasks.tree", ["g", True]))["tasks"]} == {
        "root": 0.5, "g": 0.5, "done": 1.0, "slow": 0.0,
    }  # fmt: skip
    call.doors.opened.set()
    await call.engine.manager.wait("root", 10)
    assert (await call("tasks.get", ["g"]))["progress"] == 1.0


@pytest.mark.parametrize("name", ["tasks.get", "tasks.tree", "tasks.children", "tasks.events", "tasks.delete", "tasks.execute"])
async def test_a_task_that_is_not_there_is_named(call, name):
    with pytest.raises(NotFound, match="there is no task 'nowhere'"):
        await call(name, {"task_id": "nowhere"})


async def test_a_tree_is_nested_and_children_are_one_level(call, stored):
    nested = await call("tasks.tree", ["root"])
    assert nested["tree"]["status"] == "pending"
    assert [child["id"] for child in nested["children"]] == ["leaf"]
    assert [child["id"] for child in (await call("tasks.children", ["root"]))["tasks"]] == ["leaf"]
    assert (await call("tasks.children", ["leaf"])) == {"tasks": []}


@pytest.fixture
async def several(call):
    """Five trees of two tasks each, the third of them done."""
    for number in range(5):
        tasks = [{"id": f"r{number}", "executor": "echo"}, {"id": f"l{number}", "executor": "echo", "parent_id": f"r{number}"}]
        await call("tasks.create", tasks)
    await call("tasks.execute", {"task_id": "r2", "wait": 10})


async def pages(call, params, caller=LOCAL):
    ids, cursor = [], None
    while True:
        page = await call("tasks.list", {**params, "cursor": cursor}, caller)
        ids.append([task["id"] for task in page["tasks"]])
        cursor = page["cursor"]
        if cursor is None:
            return ids, page["total"]


async def test_a_listing_goes_on_where_the_page_before_ended(call, several):
    found, total = await pages(call, {"limit": 4})
    assert found == [["r4", "l4", "r3", "l3"], ["r2", "l2", "r1", "l1"], ["r0", "l0"]]
    assert total == 10


async def test_roots_in_a_listing_come_with_how_their_tree_stands(call, several):
    page = await call("tasks.list", {"root_only": True})
    assert [task["id"] for task in page["tasks"]] == ["r4", "r3", "r2", "r1", "r0"]
    assert page["tasks"][2]["tree"] == {"id": "r2", "status": "completed", "run": 1}
    assert "tree" not in (await call("tasks.list", {"name": "l2"}))["tasks"][0]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"status": "completed"}, {"r2", "l2"}),
        ({"status": ["completed", "failed"], "root_only": True}, {"r2"}),
        ({"name": "l3"}, {"l3"}),
        ({"user_id": "somebody"}, set()),
        ({"context_id": "none"}, set()),
        ({"changed_since": "2999-01-01T00:00:00Z"}, set()),
        ({"changed_since": "1999-01-01T00:00:00+02:00", "root_only": True}, {"r0", "r1", "r2", "r3", "r4"}),
    ],
)
async def test_a_listing_and_a_count_take_the_same_filters(call, several, asked, found):
    page = await call("tasks.list", asked)
    assert {task["id"] for task in page["tasks"]} == found
    assert (await call("tasks.count", asked))["total"] == len(found)


async def test_what_changed_since_an_instant_can_be_asked_with_the_instant_as_it_is_shown(call, several):
    completed = (await call("tasks.get", ["r2"]))["updated_at"]
    page = await call("tasks.list", {"changed_since": completed})
    assert "r2" in {task["id"] for task in page["tasks"]}


async def test_counts_are_by_status(call, several):
    assert await call("tasks.count") == {"total": 10, "counts": {"pending": 8, "completed": 2}}


async def test_a_status_that_does_not_exist_is_refused_with_those_that_do(call):
    with pytest.raises(InvalidParams, match="status = 'done': must be one of pending, in_progress, waiting, completed"):
        await call("tasks.list", {"status": "done"})


async def test_a_cursor_that_was_not_handed_out_is_refused(call, several):
    with pytest.raises(InvalidParams, match="cursor"):
        await call("tasks.list", {"cursor": "nonsense"})


@pytest.mark.parametrize(("name", "params"), [("tasks.list", {}), ("tasks.events", {"task_id": "root"})])
async def test_a_page_is_limited_for_remote_callers_only(call, stored, name, params):
    refused = re.escape("limit = 1001: a remote caller may ask for at most 1000 at once")
    with pytest.raises(InvalidParams, match=refused):
        await call(name, {**params, "limit": 1001}, ADMIN)
    assert await call(name, {**params, "limit": 1001}, LOCAL)


async def test_events_are_numbered_without_gaps_and_resume_after_a_number(call):
    await call("tasks.create", {"tasks": PAIR, "execute": True})
    await call.engine.manager.wait("root", 10)
    events = (await call("tasks.events", {"task_id": "leaf"}))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events][:2] == ["tree_created", "tree_started"]
    assert (events[-1]["type"], events[-1]["status"], events[-1]["task_id"]) == ("tree_settled", "completed", None)
    assert (await call("tasks.events", {"task_id": "root", "after": 2, "limit": 1}))["events"] == [events[2]]


async def test_the_result_of_a_task_is_read_as_it_was_returned(call):
    await call("tasks.create", {"tasks": PAIR, "execute": True}, ADA)
    await call.engine.manager.wait("root", 10)
    root = await call("tasks.get", ["root"], ADA)
    assert (root["status"], root["result"], root["progress"]) == ("completed", {"value": "root"}, 1.0)
    assert root["tree"] == {"id": "root", "status": "completed", "progress": 1.0, "run": 1}
