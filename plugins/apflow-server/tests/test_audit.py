"""Who did what, and who was kept from it, is told in the log."""

import json
import logging

import pytest
from samples import echo

from apflow.logs import JsonLines
from apflow_hookspecs import Caller, hookimpl
from apflow_hookspecs.errors import RateLimited

from .serving import served

SECRET = "canary-in-inputs"  # noqa: S105 - a canary


class People:
    @hookimpl
    def apflow_credentials(self):
        return ["people"]

    @hookimpl
    def apflow_authenticate(self, request):
        user = request.headers.get("x-user")
        return None if user is None else Caller(user, frozenset(request.headers.get("x-scopes", "read").split()))

    @hookimpl
    def apflow_admit(self, caller):
        if caller.user_id == "greedy":
            raise RateLimited(retry_after=3)


@pytest.fixture
async def server(caplog):
    caplog.set_level(logging.INFO, "apflow.audit")
    async with served(echo, plugins={"people": People()}) as running:
        yield running


def told(caplog):
    """What the records say, as a machine reads them, without the loopback address that all have."""
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "apflow.audit"]
    assert {line["address"] for line in lines} <= {"127.0.0.1"}
    return [tuple(line[name] for name in ("user", "operation", "ids", "decision", "code")) for line in lines]


async def test_a_change_is_told_with_who_and_what(server, caplog):
    ada = {"X-User": "ada", "X-Scopes": "read submit cancel"}
    create = {"method": "tasks.create", "params": {"id": "a", "executor": "echo", "inputs": {"value": SECRET}}}
    await server.http.post("/tasks", json=create, headers=ada)
    await server.http.post("/tasks/a/cancel", headers=ada)
    await server.http.get("/tasks/a", headers=ada)
    await server.http.post("/tasks", json={"method": "tasks.cancel", "params": {"task_ids": ["a", SECRET + "\n"]}}, headers=ada)
    assert told(caplog) == [
        ("ada", "tasks.create", ["a"], "done", None),
        ("ada", "tasks.cancel", ["a"], "done", None),
        ("ada", "tasks.cancel", ["a"], "refused", -32001),
    ]
    assert SECRET not in caplog.text


async def test_each_denial_is_told_once(server, caplog):
    http = server.http
    await http.get("/tasks?token=canary")
    await http.delete("/tasks/a", headers={"X-User": "bob"})
    await http.get("/tasks", headers={"X-User": "greedy"})
    await http.get("/tasks", headers={"X-User": "bob", "Host": "evil"})
    await http.get("/tasks", headers={"X-User": "bob", "Origin": "null"})
    assert told(caplog) == [
        (None, "GET /tasks", [], "denied", -32004),
        ("bob", "tasks.delete", ["a"], "denied", -32004),
        ("greedy", "tasks.list", [], "denied", -32013),
        (None, "GET /tasks", [], "denied", -32600),
        (None, "GET /tasks", [], "denied", -32004),
    ]
    assert "canary" not in caplog.text


async def test_each_part_of_a_batch_is_told(server, caplog):
    batch = [{"method": "tasks.purge", "params": {"older_than": 0}}, {"method": "tasks.delete", "params": ["x"], "id": 1}]
    await server.http.post("/tasks", json=batch, headers={"X-User": "ada", "X-Scopes": "submit"})
    assert [(line[1], line[2], line[3]) for line in told(caplog)] == [
        ("tasks.purge", [], "done"),
        ("tasks.delete", ["x"], "refused"),
    ]


async def test_a_record_is_one_harmless_line_whoever_asks(server, caplog):
    await server.http.get("/%0A%1B[2J%0A{}", headers={"X-User-Agent": "%s {}"})
    (record,) = [record for record in caplog.records if record.name == "apflow.audit"]
    assert "\n" not in JsonLines().format(record)
    assert "\x1b" not in JsonLines().format(record)
