"""The rate limit of a real server."""

from __future__ import annotations

import logging

import pytest

from apflow.testing import host_of
from apflow_ratelimit import RateLimit

from .conftest import ask, asking, served, statuses


async def test_a_caller_is_refused_who_asks_too_often():
    async with served(rate="3/day") as client:
        assert await statuses(client, 4) == [200, 200, 200, 429]
        refused = await ask(client)
    error = refused.json()["error"]
    assert (error["code"], error["data"]["type"]) == (-32013, "RateLimited")
    assert error["message"].startswith("requests: more than 3 in 86400 s; try again in ")
    assert 1 <= int(refused.headers["Retry-After"]) == error["data"]["retry_after"] <= 86_400


async def test_each_answer_tells_what_is_left():
    async with served(rate="10/day", operations={"tasks.count": "5/day"}) as client:
        other = await ask(client, "tasks.list")
        answer = await ask(client)
        assert other.headers["RateLimit-Policy"] == '"requests";q=10;w=86400'
        assert other.headers["RateLimit"].startswith('"requests";r=9;t=')
        assert answer.headers["RateLimit-Policy"] == '"requests";q=10;w=86400, "tasks.count";q=5;w=86400'
        requests, count = answer.headers["RateLimit"].split(", ")
    assert requests.startswith('"requests";r=8;t=')
    assert count.startswith('"tasks.count";r=4;t=')


async def test_a_refusal_tells_so_too():
    async with served(rate="1/day") as client:
        await ask(client)
        refused = await ask(client)
    assert refused.headers["RateLimit"] == f'"requests";r=0;t={refused.headers["Retry-After"]}'


async def test_an_operation_has_a_rate_of_its_own():
    async with served(operations={"tasks.count": "2/day"}) as client:
        assert await statuses(client, 3) == [200, 200, 429]
        assert (await ask(client, "tasks.list")).status_code == 200


async def test_each_operation_of_a_batch_counts():
    async with served(rate="5/day") as client:
        answer = await client.post("/tasks", json=[asking()] * 7)
        assert await statuses(client, 1) == [429]
    assert ["result" in each for each in answer.json()] == [True] * 5 + [False] * 2
    assert {each["error"]["data"]["type"] for each in answer.json()[5:]} == {"RateLimited"}
    assert answer.headers["RateLimit"].startswith('"requests";r=0;')


async def test_an_operation_of_a_batch_that_is_refused_leaves_the_others():
    async with served(operations={"tasks.count": "1/day"}) as client:
        answer = await client.post("/tasks", json=[asking(), asking(), asking("tasks.list")])
    assert ["result" in each for each in answer.json()] == [True, False, True]


async def test_a_notification_counts():
    async with served(rate="2/day") as client:
        told = [(await client.post("/tasks", json={"jsonrpc": "2.0", "method": "tasks.count"})).status_code for _ in range(3)]
    assert told == [204, 204, 429]


async def test_a_request_that_asks_for_no_operation_counts():
    async with served(rate="3/day") as client:
        told = [(await client.get("/nowhere")).status_code, (await client.put("/tasks")).status_code]
        told += [(await client.post("/tasks", content=b"{")).status_code]
        assert await statuses(client, 1) == [429]
    assert told == [404, 405, 400]


async def test_who_asks_too_often_is_refused_before_the_body_is_read():
    async with served(rate="1/day") as client:
        await ask(client)
        assert (await client.post("/tasks", content=b"{")).status_code == 429


async def test_each_user_and_each_address_is_counted_alone():
    async with served(rate="2/day") as client:
        told = {name: await statuses(client, 3, name=name) for name in ("ada", "bob", None)}
    assert set(map(tuple, told.values())) == {(200, 200, 429)}


async def test_an_address_is_taken_from_a_trusted_proxy_only():
    async with served(rate="1/day", trusted_proxies=["127.0.0.1"]) as client:
        told = [(await ask(client, **{"X-Forwarded-For": f"192.0.2.{n}"})).status_code for n in (1, 2, 1)]
    assert told == [200, 200, 429]
    async with served(rate="1/day", trusted_proxies=["192.0.2.7"]) as client:
        told = [(await ask(client, **{"X-Forwarded-For": f"192.0.2.{n}"})).status_code for n in (1, 2)]
    assert told == [200, 429]


@pytest.mark.parametrize(("path", "status"), [("/health/live", 200), ("/health/ready", 200), ("/health/of-a-plugin", 404)])
async def test_those_who_watch_the_server_are_never_limited(path, status):
    async with served(rate="1/day") as client:
        answers = [await client.get(path) for _ in range(3)]
        assert await statuses(client, 2) == [200, 429]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert not any("RateLimit" in answer.headers for answer in answers)


async def test_a_stream_counts_when_it_begins():
    async with served(rate="2/day") as client:
        created = await client.post("/tasks", json=asking("tasks.create", tasks=[{"executor": "work"}], execute=True))
        path = f"/tasks/{created.json()['result']['id']}/events"
        told = [(await client.get(path)).status_code for _ in range(2)]
    assert told == [200, 429]


async def test_each_refusal_is_a_line_of_the_audit(caplog):
    async with served(rate="3/day", operations={"tasks.count": "1/day"}) as client:
        with caplog.at_level(logging.INFO, "apflow.audit"):
            assert await statuses(client, 4, name="ada") == [200, 429, 429, 429]
    told = [
        (record.user, record.operation, record.decision, record.code)
        for record in caplog.records
        if record.name == "apflow.audit"
    ]
    denied = [("ada", what, "denied", -32013) for what in ("tasks.count", "tasks.count", "POST /tasks")]
    assert told == denied


async def test_by_default_there_is_a_limit():
    async with served() as client:
        assert (await ask(client)).headers["RateLimit-Policy"] == '"requests";q=600;w=60'


def test_it_does_nothing_where_there_is_no_server():
    (plugin,) = [found for found in host_of(plugins={"ratelimit": RateLimit()}).plugins if found.name == "ratelimit"]
    assert (plugin.state, plugin.reason) == ("on", None)
