import pytest

from apflow_hookspecs import Caller
from apflow_hookspecs.errors import NotFound, PermissionDenied

from .conftest import ADA, ADMIN, BOB, LOCAL, WAITING

TASK = [
    ("tasks.get", {"task_id": "root"}),
    ("tasks.get", {"task_id": "leaf"}),
    ("tasks.tree", {"task_id": "root"}),
    ("tasks.children", {"task_id": "root"}),
    ("tasks.events", {"task_id": "root"}),
    ("tasks.execute", {"task_id": "root"}),
    ("tasks.cancel", {"task_id": "root"}),
    ("tasks.cancel", {"task_ids": ["leaf"]}),
    ("tasks.delete", {"task_id": "root"}),
    ("tasks.delete", {"task_id": "leaf", "include_dependents": True}),
    ("tasks.update", {"task_id": "leaf", "name": "another"}),
    ("tasks.copy", {"task_id": "leaf"}),
    ("tasks.copy", {"task_id": "leaf", "copy_mode": "custom", "task_ids": ["leaf"], "allow_partial": True}),
    ("tasks.history", {"task_id": "leaf"}),
    ("tasks.explain", {"task_id": "leaf"}),
    ("tasks.execute", {"task_id": "leaf"}),
    ("tasks.running.status", {"task_ids": ["leaf"]}),
]
SETTLED = [
    ("tasks.answer", {"task_id": "leaf", "answer": True}),
    ("tasks.archive", {"task_id": "root"}),
    ("tasks.resume", {"task_id": "root"}),
]
"""What its owner could only do to a tree in another state."""


@pytest.mark.parametrize(("name", "params"), [*TASK, *SETTLED])
async def test_another_users_task_looks_exactly_like_none(call, stored, name, params):
    with pytest.raises(NotFound) as others:
        await call(name, params, BOB)
    await call("tasks.delete", {"task_id": "root"}, ADA)
    with pytest.raises(NotFound) as missing:
        await call(name, params, BOB)
    assert str(others.value) == str(missing.value)
    assert others.value.problems == missing.value.problems


@pytest.mark.parametrize("caller", [ADA, ADMIN, LOCAL], ids=["owner", "administrator", "local"])
@pytest.mark.parametrize(("name", "params"), TASK)
async def test_the_owner_an_administrator_and_the_user_of_the_machine_see_it(call, stored, name, params, caller):
    assert await call(name, params, caller)


@pytest.mark.parametrize("name", ["tasks.list", "tasks.count"])
async def test_listings_and_counts_show_a_user_its_own(call, stored, name):
    await call("tasks.create", {"name": "hers", "executor": "echo"}, BOB)
    assert (await call(name, {}, ADA))["total"] == 2
    assert (await call(name, {}, BOB))["total"] == 1
    assert (await call(name, {}, ADMIN))["total"] == 3
    assert (await call(name, {"user_id": "bob"}, LOCAL))["total"] == 1


@pytest.mark.parametrize("name", ["tasks.list", "tasks.count", "tasks.running.list", "tasks.running.count"])
async def test_asking_for_another_users_tasks_is_refused(call, name):
    with pytest.raises(PermissionDenied, match="user_id = 'bob': without the scope 'admin' a caller sees its own tasks only"):
        await call(name, {"user_id": "bob"}, ADA)


@pytest.mark.parametrize("name", ["tasks.list", "tasks.count", "tasks.running.list", "system.stats"])
async def test_a_remote_caller_who_is_nobody_sees_nothing(call, stored, name):
    with pytest.raises(PermissionDenied, match="a caller without a user needs the scope 'admin'"):
        await call(name, {}, Caller(scopes=frozenset({"read"})))


async def test_a_user_purges_its_own_trees(call):
    for name, caller in (("hers", ADA), ("his", BOB)):
        await call("tasks.execute", {"tasks": [{"id": name, "executor": "echo"}], "wait": 10}, caller)
    assert await call("tasks.purge", {"older_than": 0}, BOB) == {"trees": 1}
    assert (await call("tasks.get", {"task_id": "hers"}, ADA))["status"] == "completed"
    assert await call("tasks.purge", {"older_than": 0}, ADMIN) == {"trees": 1}


async def test_an_anonymous_remote_caller_with_all_scopes_sees_everything(call, stored):
    assert (await call("tasks.count", {}, Caller(scopes=ADMIN.scopes)))["total"] == 2


async def test_what_runs_is_shown_to_its_owner_only(call):
    await call("tasks.execute", {"tasks": WAITING}, ADA)
    await call.doors.entered.wait()
    assert len((await call("tasks.running.list", {}, ADA))["tasks"]) == 1
    assert await call("tasks.running.list", {}, BOB) == {"tasks": []}
    assert (await call("system.stats", {}, ADA))["tasks_running"] == 1
    assert await call("system.stats", {}, BOB) == {"tasks": {}, "trees_running": 0, "tasks_running": 0}
    call.doors.opened.set()
    await call.engine.manager.wait("root", 10)


@pytest.mark.parametrize(
    ("name", "scope"),
    [("tasks.get", "read"), ("tasks.create", "submit"), ("tasks.delete", "submit"), ("tasks.cancel", "cancel")],
)
async def test_each_operation_needs_its_scope(call, name, scope):
    others = ADA.scopes - {scope}
    with pytest.raises(PermissionDenied, match=f"{name} needs the scope '{scope}'"):
        await call(name, {}, Caller("ada", others))
