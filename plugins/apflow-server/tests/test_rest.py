"""The operations as plain resources."""

import pytest
from samples import echo

from apflow_server.rest import ROUTES

from .serving import served

TREE = [{"id": "root", "executor": "echo", "dependencies": ["leaf"]}, {"id": "leaf", "executor": "echo", "parent_id": "root"}]


@pytest.fixture
async def server():
    async with served(echo) as running:
        await running.engine.creator.create_task_tree_from_array(TREE)
        yield running


async def get(server, path, **query):
    answer = await server.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_operation_of_the_table_is_one_of_the_catalogue(server):
    assert {rest.operation for rest in ROUTES} <= server.engine.operations.keys()


async def test_tasks_are_listed_through_typed_filters(server):
    assert (await get(server, "/tasks"))["total"] == 2
    page = await get(server, "/tasks", limit="1", root_only="true", status="pending")
    assert [task["id"] for task in page["tasks"]] == ["root"]
    assert (await get(server, "/tasks", status=["completed", "failed"]))["total"] == 0
    assert (await get(server, "/tasks", name="leaf", changed_since="2020-01-01T00:00:00Z"))["total"] == 1


@pytest.mark.parametrize(
    "query", ["limit=many", "limit=0", "limit=1.5", "root_only=1", "status=odd", "nope=1", "limit=1&limit=2"]
)
async def test_a_filter_that_does_not_fit_is_told(server, query):
    answer = await server.http.get(f"/tasks?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


async def test_a_task_has_its_views(server):
    assert (await get(server, "/tasks/leaf"))["id"] == "leaf"
    assert (await get(server, "/tasks/root/tree"))["children"][0]["id"] == "leaf"
    assert (await get(server, "/tasks/root/tree", flat="true"))["tasks"]
    assert [task["id"] for task in (await get(server, "/tasks/root/children"))["tasks"]] == ["leaf"]
    assert await get(server, "/tasks/leaf/explain")
    assert await get(server, "/tasks/leaf/history")


async def test_a_tree_is_run_copied_archived_and_deleted(server):
    http = server.http
    assert (await http.post("/tasks/root/execute", json={"wait": 60})).json()["status"] == "completed"
    copied = await http.post("/tasks/leaf/copy", json={"execute": True})
    assert copied.json()["run_again"] == ["root", "leaf"]
    assert (await http.post("/tasks/root/archive")).json()["archived_at"]
    assert (await http.delete("/tasks/root")).status_code == 409
    assert (await http.post("/tasks/root/archive", json={"undo": True})).status_code == 200
    assert (await http.delete("/tasks/root")).json() == {"deleted": 2}
    assert (await http.get("/tasks/root")).status_code == 404


async def test_fields_are_updated(server):
    answer = await server.http.patch("/tasks/leaf", json={"inputs": {"value": 2}, "allow_partial": True})
    assert answer.json()["tasks"][0]["inputs"] == {"value": 2}


async def test_the_options_of_a_deletion_may_stand_in_the_query(server):
    assert (await server.http.delete("/tasks/leaf")).status_code == 400
    assert (await server.http.delete("/tasks/leaf?allow_partial=true")).json()["keys"] == ["leaf"]


async def test_a_tree_is_cancelled(server):
    cancelled = (await server.http.post("/tasks/root/cancel")).json()["tasks"]
    assert {task["status"] for task in cancelled} == {"cancelled"}


async def test_a_body_that_names_another_task_is_refused(server):
    answer = await server.http.post("/tasks/root/cancel", json={"task_id": "leaf"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("body", ["[]", "1", '"a"', "null"])
async def test_a_body_is_an_object(server, body):
    assert (await server.http.post("/tasks/root/cancel", content=body)).status_code == 400


async def test_the_system_is_looked_at(server):
    assert (await get(server, "/system/health"))["status"] == "ok"
    assert [executor["id"] for executor in (await get(server, "/system/executors"))["executors"]] == ["echo"]
    assert (await get(server, "/system/plugins"))["plugins"]
    assert (await get(server, "/system/stats"))["trees_running"] == 0


async def test_an_unknown_path_and_method_are_told(server):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/tasks/", 404),
        ("PUT", "/tasks", 405),
        ("GET", "/system", 405),
    ):
        answer = await server.http.request(method, path)
        assert (answer.status_code, "error" in answer.json()) == (status, True)
