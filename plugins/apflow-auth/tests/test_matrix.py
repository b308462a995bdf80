"""Two users, every operation, every place of an id: what is another's looks exactly like what is not there.

The cases are made from the catalogue. Each is asked twice, while the other user has trees in every state and once these are
gone: the answers must be the same, byte for byte. An operation, or a parameter, that has no place here makes a test fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apflow.operations import CATALOGUE
from apflow.operations.catalogue import description
from apflow_auth.operations import OPERATIONS
from apflow_server.rest import BODILESS, ROUTES

from .conftest import front
from .world import USER, World, furnished

BESIDE: dict[str, dict[str, Any]] = {
    "system.backup": {"target": "/nowhere/copy.db"},
    "system.executors": {},
    "system.health": {},
    "system.plugins": {},
    "system.stats": {},
    "tasks.answer": {"answer": True},
    "tasks.archive": {},
    "tasks.cancel": {},
    "tasks.children": {},
    "tasks.copy": {},
    "tasks.count": {},
    "tasks.create": {},
    "tasks.delete": {"include_dependents": True},
    "tasks.events": {},
    "tasks.execute": {},
    "tasks.explain": {},
    "tasks.get": {},
    "tasks.history": {},
    "tasks.list": {},
    "tasks.purge": {"older_than": 0, "dry_run": True},
    "tasks.resume": {},
    "tasks.running.count": {},
    "tasks.running.list": {},
    "tasks.running.status": {},
    "tasks.tree": {"flat": True},
    "tasks.update": {"fields": {"name": "another"}},
    "tasks.validate": {},
    "tokens.create": {"scopes": ["read"], "user_id": "me"},
    "tokens.list": {},
    "tokens.revoke": {"id": "0" * 16},
}
"""Every operation, with what it needs beside ids."""

PLACES = {"task_id", "task_ids", "tasks", "fields", "overrides", "user_id"}
"""Parameters that name tasks or users, or hold what does."""
ELSEWHERE = {
    "after", "allow_partial", "answer", "changed_since", "children", "context_id", "copy_mode", "cursor", "dependents",
    "dry_run", "execute", "flat", "fresh_ids", "idempotency_key", "include_dependents", "limit", "name", "older_than",
    "rerun", "root_only", "save", "status", "tree", "undo", "wait",
}  # fmt: skip
"""Parameters that name none; the cursor and the idempotency key have tests of their own."""
ADMINISTRATORS = {"system.backup", "tokens.create", "tokens.list", "tokens.revoke"}

KNOWN = {**CATALOGUE, **{operation.name: operation for operation in OPERATIONS}}


def properties(name: str) -> dict[str, Any]:
    """The parameters of an operation."""
    found: dict[str, Any] = description(KNOWN[name])["params"].get("properties", {})
    return found


each_operation = pytest.mark.parametrize("name", KNOWN)
each_operation_with_a_place = pytest.mark.parametrize("name", [name for name in KNOWN if PLACES & properties(name).keys()])
each_operation_with_an_id = pytest.mark.parametrize(
    "name", [name for name in KNOWN if {"task_id", "task_ids"} & properties(name).keys()]
)
each_user = pytest.mark.parametrize(("me", "other"), [("ada", "bob"), ("bob", "ada")])


@pytest.fixture
async def world(me, other):
    async with furnished(me, other) as world:
        yield world


def cases(name: str, world: World) -> Iterator[dict[str, Any]]:
    """Every way in which an operation may name something that is not the caller's."""
    beside = BESIDE[name]
    for place in sorted(PLACES & properties(name).keys()):
        if place == "user_id":
            yield from ({**beside, place: user} for user in (world.other, "nobody", "carol", "*", ""))
            continue
        for foreign in world.foreign:
            yield from ({**beside, **case} for case in _PLACED[place](world, name, foreign))


def _as_id(_world: World, _name: str, foreign: str) -> Iterator[dict[str, Any]]:
    yield {"task_id": foreign}


def _as_ids(world: World, name: str, foreign: str) -> Iterator[dict[str, Any]]:
    beside = {"task_id": world.own, "copy_mode": "custom", "allow_partial": True} if name == "tasks.copy" else {}
    for ids in ([foreign], [world.own, foreign], [foreign, world.own], [world.own, f"{world.own}-leaf", foreign]):
        yield {**beside, "task_ids": ids}
    if name == "tasks.copy":
        yield {**beside, "task_id": foreign, "task_ids": [world.own]}
    elif name == "tasks.cancel":
        yield {"task_id": world.own, "task_ids": [foreign]}


def _referring(foreign: str) -> Iterator[dict[str, Any]]:
    """Author's fields that lead to a task."""
    yield {"dependencies": [foreign]}
    yield {"dependencies": [{"id": foreign, "required": False}]}
    yield {"inputs": {"value": {"$from": foreign}}}
    yield {"parent_id": foreign}


def _copied(foreign: str) -> dict[str, Any]:
    return {"original_task_id": foreign}


def _in_tasks(world: World, _name: str, foreign: str) -> Iterator[dict[str, Any]]:
    for fields in (*_referring(foreign), {"user_id": world.other}, {"user_id": "nobody"}):
        yield {"tasks": [{"id": "new"}, {"id": "new-leaf", "executor": "echo", "parent_id": "new", **fields}]}
        yield {"tasks": [{"id": "new", "executor": "echo", **fields}]}


def _in_fields(world: World, _name: str, foreign: str) -> Iterator[dict[str, Any]]:
    for fields in (*_referring(foreign), {"user_id": world.other}, {"tree_id": foreign}, {"id": foreign}, _copied(foreign)):
        yield {"task_id": f"{world.own}-leaf", "fields": fields}


def _in_overrides(world: World, _name: str, foreign: str) -> Iterator[dict[str, Any]]:
    yield {"task_id": world.own, "overrides": {foreign: {"inputs": {}}}}
    for fields in (*_referring(foreign), {"user_id": world.other}, _copied(foreign)):
        yield {"task_id": f"{world.own}-leaf", "overrides": {f"{world.own}-leaf": fields}}


_PLACED = {"task_id": _as_id, "task_ids": _as_ids, "tasks": _in_tasks, "fields": _in_fields, "overrides": _in_overrides}


def test_every_operation_has_its_place_here():
    assert sorted(KNOWN) == sorted(BESIDE)


async def test_every_operation_of_the_server_is_asked():
    async with front() as server:
        assert sorted(server.engine.operations) == sorted(KNOWN)


@each_operation
def test_every_parameter_has_its_place_here(name):
    if name not in ADMINISTRATORS:
        assert properties(name).keys() <= PLACES | ELSEWHERE
        assert not PLACES & ELSEWHERE


@each_user
@each_operation_with_a_place
async def test_what_is_anothers_looks_like_what_is_not_there(world, name):
    asked = list(cases(name, world))
    before = await world.stored(world.me, world.other, "nobody")
    while_there = [await world.call(name, params) for params in asked]
    assert await world.stored(world.me, world.other, "nobody") == before
    await world.empty()
    for params, answer in zip(asked, while_there, strict=True):
        assert answer.refuses, (params, answer)
        assert f"canary of {world.other}".encode() not in answer.content
        assert await world.call(name, params) == answer, params


@each_user
@each_operation
async def test_without_an_id_nothing_of_another_shows(world, name):
    while_there = await world.call(name, BESIDE[name])
    await world.empty()
    assert f"canary of {world.other}".encode() not in while_there.content
    assert b"canary of nobody" not in while_there.content
    assert await world.call(name, BESIDE[name]) == while_there
    assert while_there.status == 403 or name not in ADMINISTRATORS


@each_operation_with_an_id
async def test_no_wildcard_stands_for_an_id(name):
    values: tuple[Any, ...] = (
        "*", "~", "", None, "%", "_", "?", ".", "..", "/", "null", "bob-*", "bob-pending ", "BOB-PENDING", "bob-pending\x00",
        "bob%", "' OR '1'='1", 0, True, [], {}, ["bob-pending"], {"id": "bob-pending"}, "a" * 10_000,
    )  # fmt: skip
    places = {"task_id", "task_ids"} & properties(name).keys()
    async with furnished("ada", "bob") as world:
        before = await world.stored("ada", "bob", "nobody")
        for place in sorted(places):
            for value in values:
                given = [value] if place == "task_ids" else value
                beside = {"task_id": world.own, "copy_mode": "custom"} if (name, place) == ("tasks.copy", "task_ids") else {}
                answer = await world.call(name, {**BESIDE[name], **beside, place: given})
                assert 400 <= answer.status < 500, (place, value, answer)
                assert b"canary" not in answer.content
        assert await world.stored("ada", "bob", "nobody") == before


@each_user
@pytest.mark.parametrize("rest", [rest for rest in ROUTES if "{" in rest.path], ids=lambda rest: f"{rest.method} {rest.path}")
async def test_a_path_to_what_is_anothers_leads_nowhere(world, rest):
    async def asked(task_id):
        path = rest.path.format(task_id=quote(task_id, safe=""))
        if rest.method in BODILESS:
            return await world.ask(rest.method, path)
        return await world.ask(rest.method, path, json=BESIDE[rest.operation])

    while_there = [await asked(task_id) for task_id in world.foreign]
    await world.empty()
    for task_id, answer in zip(world.foreign, while_there, strict=True):
        assert answer.status == 404
        assert await asked(task_id) == answer
    for wild in ("*", "~", "%", "_", "%2e", "null", "bob*"):
        assert 400 <= (await asked(wild)).status < 500


@each_user
async def test_the_events_of_anothers_tree_are_not_streamed(world):
    seen = (None, "0", "1", "3", "999999", "-1", "*", "")

    async def asked(task_id):
        path = f"/tasks/{task_id}/events"
        return [await world.ask("GET", path, headers={} if last is None else {"Last-Event-ID": last}) for last in seen]

    while_there = [await asked(task_id) for task_id in world.foreign]
    await world.empty()
    for task_id, answers in zip(world.foreign, while_there, strict=True):
        assert [answer.status for answer in answers] == [404, 404, 404, 404, 404, 400, 400, 400]
        assert await asked(task_id) == answers


@each_user
@pytest.mark.parametrize("name", ["tasks.list", "tasks.count"])
async def test_no_filter_nor_count_tells_of_another(world, name):
    filters: list[dict[str, Any]] = [
        {}, {"root_only": True}, {"status": "pending"}, {"status": ["in_progress", "waiting"]}, {"name": "canary of bob"},
        {"name": "canary of ada"}, {"changed_since": "2000-01-01T00:00:00Z"},
    ]  # fmt: skip
    if name == "tasks.list":
        filters += [{"limit": 1}, {"limit": 1000}]
    while_there = [await world.call(name, given) for given in filters]
    await world.empty()
    for given, answer in zip(filters, while_there, strict=True):
        assert answer.status == 200
        assert f"canary of {world.other}".encode() not in answer.content
        assert await world.call(name, given) == answer


@each_user
async def test_the_cursor_of_another_shows_ones_own_tasks_only(world):
    theirs = await world.server.token(world.other, *USER)
    first = (await world.server.call("tasks.list", {"limit": 1}, theirs)).json()["result"]
    answer = await world.call("tasks.list", {"cursor": first["cursor"]})
    assert f"canary of {world.other}".encode() not in answer.content
    await world.empty()
    assert await world.call("tasks.list", {"cursor": first["cursor"]}) == answer


@each_user
async def test_an_idempotency_key_is_known_to_its_user_only(world):
    theirs = await world.server.token(world.other, *USER)

    def request(owner):
        return {"tasks": [{"name": f"keyed of {owner}", "executor": "echo"}], "idempotency_key": "tonight"}

    first = (await world.server.call("tasks.create", request(world.other), theirs)).json()["result"]
    answer = await world.call("tasks.create", request(world.me))
    assert answer.status == 200
    assert first["id"].encode() not in answer.content


@each_user
async def test_an_id_that_is_taken_is_refused_without_a_word_of_whose_it_is(world):
    def told(answer, task_id):
        return answer.status, answer.content.replace(task_id.encode(), b"ID")

    ids = [world.own, f"{world.other}-pending", "nobody-pending"]
    answers = {told(await world.call("tasks.create", {"tasks": [{"id": one, "executor": "echo"}]}), one) for one in ids}
    assert len(answers) == 1


@each_user
async def test_nobody_can_say_of_a_new_task_that_it_is_a_copy_of_anothers(world):
    tasks = [{"id": "new", "executor": "echo", **_copied(f"{world.other}-completed-leaf")}]
    answer = await world.call("tasks.create", {"tasks": tasks})
    assert answer.refuses or b'"original_task_id":null' in answer.content


@each_user
async def test_a_user_purges_no_trees_but_its_own(world):
    before = await world.stored(world.other, "nobody")
    assert (await world.call("tasks.purge", {"older_than": 0})).content.endswith(b'"result":{"trees":1}}')
    assert await world.stored(world.other, "nobody") == before


@each_user
async def test_a_batch_keeps_apart_what_is_ones_own_and_what_is_anothers(world):
    ids = [world.own, f"{world.other}-pending", "no-such-task"]
    batch = [{"jsonrpc": "2.0", "id": 1, "method": "tasks.get", "params": {"task_id": one}} for one in ids]
    answers = (await world.server.http.post("/tasks", json=batch, headers=world.headers)).json()
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32001, -32001]
    assert answers[1]["error"]["message"] == f"there is no task '{world.other}-pending'"


@pytest.mark.parametrize("scopes", [("admin",), ("read", "submit", "cancel", "admin")])
async def test_an_administrator_sees_everybodys_and_what_is_nobodys(scopes):
    async with furnished("ada", "bob") as world:
        administrator = await world.server.token(None, *scopes)
        for task_id in (world.own, *world.foreign):
            assert (await world.server.call("tasks.get", {"task_id": task_id}, administrator)).status_code == 200
        assert (await world.server.call("tasks.count", {}, administrator)).json()["result"]["total"] == 24


async def test_a_name_that_looks_like_a_wildcard_is_a_user_like_others():
    async with furnished("ada", "bob") as world:
        for user in ("*", "%", "_", "b_b", "bo%", "admin", "nobody", "null", "None", "BOB", "bob "):
            theirs = await world.server.token(user, *USER)
            assert (await world.server.call("tasks.count", {}, theirs)).json()["result"]["total"] == 0
            assert (await world.server.call("tasks.get", {"task_id": "bob-pending"}, theirs)).status_code == 404
            assert (await world.server.call("tasks.get", {"task_id": "nobody-pending"}, theirs)).status_code == 404
