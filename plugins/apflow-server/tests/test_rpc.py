"""JSON-RPC 2.0: what the specification says, and what a crontab may leave out."""

import json

import pytest
from samples import echo

from apflow_hookspecs.errors import NotFound

from .serving import served

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture
async def server():
    async with served(echo, max_batch=3) as running:
        yield running


async def post(server, body, path="/tasks", **headers):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return await server.http.post(path, content=content, headers=headers)


def rpc(method, params=None, **more):
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params}), **more}


async def test_a_request_is_answered_with_its_id_and_result(server):
    answer = await post(server, rpc("tasks.count", id=7))
    assert answer.status_code == 200
    assert answer.json() == {"jsonrpc": "2.0", "id": 7, "result": {"total": 0, "counts": {}}}


@pytest.mark.parametrize("request_id", ["one", 1, 1.5, -1, None, 2**63, ""])
async def test_an_id_is_repeated_as_it_is(server, request_id):
    assert (await post(server, rpc("tasks.count", id=request_id))).json()["id"] == request_id


@pytest.mark.parametrize("request_id", [True, [1], {"a": 1}, 2**70])
async def test_what_is_no_id_is_refused(server, request_id):
    answer = await post(server, rpc("tasks.count", id=request_id))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, REQUEST, None)


async def test_the_line_of_a_crontab_is_answered_as_it_is_typed(server):
    body = '{"method": "tasks.create", "params": {"name": "nightly", "executor": "echo", "execute": true}}'
    answer = await post(server, body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200
    assert answer.json()["id"] is None
    tree = await server.engine.manager.wait(answer.json()["result"]["id"])
    assert tree.status == "completed"


async def test_parameters_are_named_or_positional(server):
    tree = (await post(server, rpc("tasks.create", [{"id": "a", "executor": "echo"}], id=1))).json()["result"]
    named = await post(server, rpc("tasks.get", {"task_id": tree["id"]}, id=2))
    positional = await post(server, rpc("tasks.get", [tree["id"]], id=2))
    assert named.json()["result"]["id"] == "a"
    assert positional.json() == named.json()


async def test_a_notification_is_done_and_not_answered(server):
    answer = await post(server, rpc("tasks.create", {"tasks": [{"id": "quiet", "executor": "echo"}]}))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await server.engine.tree("quiet")).id == "quiet"


async def test_a_notification_that_fails_is_not_answered_either(server):
    assert (await post(server, rpc("tasks.get", {"task_id": "none"}))).status_code == 204


async def test_a_request_without_jsonrpc_is_no_notification(server):
    assert (await post(server, {"method": "tasks.count"})).json()["result"]["total"] == 0


async def test_a_batch_is_answered_in_order_and_one_that_fails_stops_no_other(server):
    answer = await post(server, [rpc("tasks.get", {"task_id": "x"}, id=1), rpc("tasks.count"), rpc("tasks.count", id=2)])
    assert answer.status_code == 200
    assert [(each["id"], "error" in each) for each in answer.json()] == [(1, True), (2, False)]


async def test_the_requests_of_a_batch_are_done_one_after_the_other(server):
    made = rpc("tasks.create", {"tasks": [{"id": "first", "executor": "echo"}]}, id=1)
    answer = await post(server, [made, rpc("tasks.get", {"task_id": "first"}, id=2)])
    assert answer.json()[1]["result"]["id"] == "first"


async def test_a_batch_of_notifications_is_not_answered(server):
    assert (await post(server, [rpc("tasks.count"), rpc("tasks.count")])).status_code == 204


async def test_each_part_of_a_batch_that_is_no_request_is_told(server):
    answers = (await post(server, [1, {}, {"id": "a"}])).json()
    assert [(each["id"], each["error"]["code"]) for each in answers] == [(None, REQUEST), (None, REQUEST), ("a", REQUEST)]


@pytest.mark.parametrize("size", [0, 4])
async def test_an_empty_and_a_long_batch_are_refused_as_one(server, size):
    answer = await post(server, [rpc("tasks.count", id=n) for n in range(size)])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        "[",
        "nope",
        '{"method": "tasks.count"',
        b"\xff\xfe",
        '{"a": NaN}',
        '{"a": 1e999}',
        '"\\ud800"',
        "{}{}",
        "\0",
    ],
)
async def test_what_is_no_json_is_told(server, body):
    answer = await post(server, body)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, PARSE, None)


@pytest.mark.parametrize(
    "body",
    [
        1, "text", None, True, {}, {"method": None}, {"method": 1}, {"method": ["tasks.count"]},
        {"jsonrpc": "1.0", "method": "tasks.count"}, {"jsonrpc": 2.0, "method": "tasks.count"},
        {"jsonrpc": None, "method": "tasks.count"}, {"jsonrpc": "2.0", "method": "tasks.count", "params": "bar"},
        {"jsonrpc": "2.0", "method": "tasks.count", "params": 1},
    ],
    ids=repr,
)  # fmt: skip
async def test_what_is_no_request_is_told_with_its_id(server, body):
    known = "seven" if isinstance(body, dict) else None
    answer = await post(server, {**body, "id": known} if isinstance(body, dict) else json.dumps(body))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, REQUEST, known)


@pytest.mark.parametrize("method", ["tasks.nothing", "", "rpc.discover", "tasks.get\n", "system.health", "__class__"])
async def test_an_unknown_method_is_told_and_no_others_are_listed(server, method):
    answer = await post(server, rpc(method, id=1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, METHOD)
    assert "tasks.archive" not in answer.text


async def test_what_concerns_the_system_has_a_path_of_its_own(server):
    assert (await post(server, rpc("system.health", id=1), "/system")).json()["result"]["status"] == "ok"
    assert (await post(server, rpc("tasks.count", id=1), "/system")).json()["error"]["code"] == METHOD


@pytest.mark.parametrize(
    "params", [{"task_id": 3}, {}, {"task_id": "a", "more": 1}, ["a", "b"], [[]], {"task_id": None}], ids=repr
)
async def test_parameters_that_do_not_fit_are_told(server, params):
    answer = await post(server, rpc("tasks.get", params, id=1))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, PARAMS, 1)


async def test_an_error_of_an_operation_has_its_code_and_status(server):
    answer = await post(server, rpc("tasks.get", {"task_id": "none"}, id="a"))
    assert answer.status_code == 404
    assert (answer.json()["id"], answer.json()["error"]["code"]) == ("a", NotFound.code)


async def test_of_a_name_that_stands_twice_the_last_counts(server):
    assert "result" in (await post(server, '{"method": "nothing", "method": "tasks.count"}')).json()
