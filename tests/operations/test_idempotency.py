"""Requests that bear a key are carried out once."""

from __future__ import annotations

import asyncio

import pytest
from samples import add, group, task

from apflow.idempotency import LEAST, NAMESPACE
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import Batch, Caller, RecordWrite
from apflow_hookspecs.errors import IdempotencyConflict, InvalidParams, InvalidTask, NotFound

ADA, BOB = (Caller(name, frozenset({"submit", "read", "cancel"})) for name in ("ada", "bob"))
TASKS = [group("root"), task("one", "add", a=1), task("two", "add", a={"$from": "one"})]
NEW = {"tasks": TASKS, "fresh_ids": True, "idempotency_key": "k"}


@pytest.fixture(params=["memory", "sqlite"])
def place(request, tmp_path):
    import apflow_sqlite

    file = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    return {} if request.param == "memory" else file


@pytest.fixture
async def engine(place):
    async with engine_of(add, **place) as engine:
        yield engine


async def trees(engine):
    return (await engine.call("tasks.list", {"root_only": True}, Caller.local()))["total"]


async def test_a_tree_is_created_once_and_the_answer_is_the_same(engine):
    first = await engine.call("tasks.create", NEW, ADA)
    again = await engine.call("tasks.create", {**NEW, "tasks": list(TASKS)}, ADA)

    assert again == first
    assert await trees(engine) == 1


async def test_it_is_answered_as_it_stands_by_then(engine):
    first = await engine.call("tasks.create", {**NEW, "execute": True}, ADA)
    await engine.manager.wait(first["id"])
    again = await engine.call("tasks.create", {**NEW, "execute": True}, ADA)

    assert (first["status"], again["status"], again["id"]) == ("in_progress", "completed", first["id"])


async def test_warnings_are_told_again(engine):
    old = {**NEW, "tasks": [{**TASKS[0], "has_children": True}, *TASKS[1:]]}
    first = await engine.call("tasks.create", old, ADA)

    assert first["warnings"]
    assert (await engine.call("tasks.create", old, ADA))["warnings"] == first["warnings"]


async def test_requests_at_the_same_time_make_one_tree(engine):
    answers = await asyncio.gather(*(engine.call("tasks.create", NEW, ADA) for _ in range(20)))

    assert len({answer["id"] for answer in answers}) == 1
    assert await trees(engine) == 1


@pytest.mark.parametrize(
    "other",
    [{"execute": True}, {"fresh_ids": False}, {"tasks": [task("root", "add", a=1)]}, {"tasks": [task("root", "add", a=1.0)]}],
)
async def test_another_request_with_the_key_is_refused(engine, other):
    first = await engine.call("tasks.create", {**NEW, "tasks": [task("root", "add", a=2)]}, ADA)
    with pytest.raises(IdempotencyConflict, match=f"idempotency_key = 'k': was used for another request, .* {first['id']!r}"):
        await engine.call("tasks.create", {**NEW, "tasks": [task("root", "add", a=2)], **other}, ADA)
    assert await trees(engine) == 1


async def test_each_user_and_each_operation_has_keys_of_its_own(engine):
    made = [
        await engine.call("tasks.create", NEW, ADA),
        await engine.call("tasks.create", NEW, BOB),
        await engine.call("tasks.execute", NEW, ADA),
    ]
    assert len({answer["id"] for answer in made}) == 3


async def test_a_refused_request_stores_nothing(engine):
    with pytest.raises(InvalidTask):
        await engine.call("tasks.create", {**NEW, "tasks": [task("root", "add", a="x")]}, ADA)
    assert await engine.storage.records(NAMESPACE) == []
    assert (await engine.call("tasks.create", NEW, ADA))["status"] == "pending"


async def test_a_refusal_by_the_storage_leaves_no_key(engine):
    await engine.call("tasks.create", {"tasks": TASKS}, ADA)
    with pytest.raises(InvalidTask, match="a stored task has this id"):
        await engine.call("tasks.create", {"tasks": TASKS, "idempotency_key": "k"}, ADA)
    assert await engine.storage.records(NAMESPACE) == []


async def test_a_tree_is_executed_once(engine):
    made = await engine.call("tasks.create", {"tasks": TASKS}, ADA)
    request = {"task_id": made["id"], "idempotency_key": "run"}
    first = await engine.call("tasks.execute", {**request, "wait": 30}, ADA)
    again = await engine.call("tasks.execute", {**request, "wait": 1}, ADA)
    plain = await engine.call("tasks.execute", request, ADA)

    assert first["status"] == again["status"] == plain["status"] == "completed"
    assert first["run"] == again["run"] == plain["run"] == 1
    with pytest.raises(IdempotencyConflict):
        await engine.call("tasks.execute", {**request, "rerun": True}, ADA)


async def test_a_copy_is_made_once_and_told_the_same(engine):
    made = await engine.call("tasks.execute", {"tasks": TASKS, "wait": 30}, ADA)
    request = {"task_id": made["id"], "children": True, "execute": True, "idempotency_key": "night 1"}
    first = await engine.call("tasks.copy", request, ADA)
    await engine.manager.wait(first["tree"]["id"])
    again = await engine.call("tasks.copy", request, ADA)

    assert {**again, "tree": None} == {**first, "tree": None}
    assert (again["tree"]["id"], again["tree"]["status"]) == (first["tree"]["id"], "completed")
    assert await trees(engine) == 2
    other = await engine.call("tasks.copy", {**request, "idempotency_key": "night 2"}, ADA)
    assert other["tree"]["id"] != first["tree"]["id"]


@pytest.mark.parametrize("option", [{"dry_run": True}, {"save": False}])
async def test_a_key_is_for_a_copy_that_is_stored(engine, option):
    made = await engine.call("tasks.create", {"tasks": TASKS}, ADA)
    with pytest.raises(InvalidParams, match="idempotency_key = 'k': is for a copy that is stored"):
        await engine.call("tasks.copy", {"task_id": made["id"], "idempotency_key": "k", **option}, ADA)


@pytest.mark.parametrize("key", ["", "x" * 256, 5, ["k"]])
async def test_a_key_is_a_text_of_some_length(engine, key):
    with pytest.raises(InvalidParams, match="idempotency_key"):
        await engine.call("tasks.create", {**NEW, "idempotency_key": key}, ADA)


async def test_it_holds_across_a_restart(tmp_path):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    async with engine_of(add, **place) as engine:
        first = await engine.call("tasks.create", NEW, ADA)
    async with engine_of(add, **place) as engine:
        assert (await engine.call("tasks.create", NEW, ADA))["id"] == first["id"]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_key_that_another_process_uses_at_this_moment_refuses_this_request_alone(engine):
    made, commit = [], engine.storage.commit

    async def overtaken(batch):
        for record in batch.records if not made else ():
            made.append(record)
            await commit(Batch(records=[RecordWrite(record.namespace, record.key, record.value, 0)]))
        return await commit(batch)

    engine.storage.commit = overtaken
    answers = await asyncio.gather(
        engine.call("tasks.create", NEW, ADA),
        engine.call("tasks.create", {**NEW, "idempotency_key": None}, BOB),
        return_exceptions=True,
    )
    assert isinstance(answers[0], IdempotencyConflict)
    assert answers[1]["status"] == "pending"
    assert await trees(engine) == 1


def test_a_key_is_kept_for_a_day_after_its_tree_was_deleted_and_swept_then():
    clock = VirtualClock()

    async def scenario():
        async with engine_of(add) as engine:
            first = await engine.call("tasks.create", NEW, ADA)
            kept = await engine.call("tasks.create", {**NEW, "idempotency_key": "kept"}, ADA)
            await engine.call("tasks.delete", {"task_id": first["id"]}, ADA)
            with pytest.raises(NotFound, match=r"was used within the last day, .* which was deleted since"):
                await engine.call("tasks.create", NEW, ADA)
            with pytest.raises(IdempotencyConflict):
                await engine.call("tasks.create", {**NEW, "execute": True}, ADA)
            assert await engine.idempotency.sweep() == 0
            await asyncio.sleep(LEAST / 1_000_000)
            assert (await engine.call("tasks.create", {**NEW, "idempotency_key": "kept"}, ADA))["id"] == kept["id"]
            again = await engine.call("tasks.create", NEW, ADA)
            assert again["id"] != first["id"]
            await engine.call("tasks.delete", {"task_id": again["id"]}, ADA)
            await asyncio.sleep(LEAST / 1_000_000)
            await engine.call("tasks.purge", {"older_than": 10**9}, ADA)
            return await engine.storage.records(NAMESPACE)

    assert len(clock.run(scenario())) == 1
