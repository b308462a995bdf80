"""The Unix socket on which an engine serves its operations, and the client that reaches them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from apflow.operations.endpoint import serving
from apflow.operations.views import event_view
from apflow.remote import ConnectionLost, connected
from apflow_hookspecs.errors import InvalidTask, NotFound, StorageOwned, StorageUnavailable, TooLarge, UnknownOperation

from .conftest import LOCAL, PAIR, WAITING

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
async def endpoint(call, path):
    async with serving(call.engine, path, max_line=100_000) as endpoint:
        yield endpoint


def to(path):
    return connected(StorageOwned("flow.db: is in use by process 7", pid=7, endpoint=path))


@pytest.fixture
async def remote(endpoint, path):
    async with to(path) as engine:
        yield engine


@asynccontextmanager
async def line_by_line(path):
    """The socket itself: sends bytes, and reads what comes back as JSON."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        assert json.loads(await reader.readline())["method"] == "hello"

        async def send(line):
            writer.write(line + b"\n")
            await writer.drain()
            return json.loads(await reader.readline() or b"null")

        yield send
    finally:
        writer.close()
        await writer.wait_closed()


async def to_the_end(events):
    async for _ in events:
        pass


async def test_an_operation_answers_as_it_does_here(call, remote):
    tree = await remote.call("tasks.create", {"tasks": PAIR}, LOCAL)
    assert {**tree, "last_event": 1} == await call("tasks.tree", {"task_id": "leaf", "flat": True})
    assert await remote.call("tasks.get", {"task_id": "leaf"}, LOCAL) == await call("tasks.get", {"task_id": "leaf"})
    assert await remote.call("tasks.get", ["leaf"], LOCAL) == await call("tasks.get", ["leaf"])
    assert remote.place == f"process {os.getpid()}"


async def test_an_error_keeps_its_class_message_and_problems(call, remote):
    bad = [{"id": "r"}, {"id": "x", "parent_id": "r", "priority": 99}, {"id": "y", "parent_id": "r", "prio": ["\x1b", 1]}]
    errors = []
    for engine in (call.engine, remote):
        with pytest.raises(InvalidTask) as caught:
            await engine.call("tasks.create", {"tasks": bad}, LOCAL)
        errors.append(caught.value)
    here, there = errors
    assert type(there) is type(here)
    assert there.message == here.message
    assert len(there.problems) == 4
    assert [str(problem) for problem in there.problems] == [str(problem) for problem in here.problems]
    assert [(problem.task, problem.field, problem.code) for problem in there.problems] == [
        (problem.task, problem.field, problem.code) for problem in here.problems
    ]


async def test_a_missing_task_and_an_unknown_operation_are_told_as_here(remote):
    with pytest.raises(NotFound, match="there is no task 'nobody'"):
        await remote.call("tasks.get", {"task_id": "nobody"}, LOCAL)
    with pytest.raises(NotFound):
        await anext(remote.watch("nobody"))
    with pytest.raises(UnknownOperation, match="did you mean"):
        await remote.call("tasks.gt", {}, LOCAL)


async def test_events_are_the_same_and_end_with_the_run(call, remote):
    await call("tasks.execute", {"tasks": WAITING})
    watched = []

    async def watch():
        async with aclosing(remote.watch("root")) as events:
            watched.extend([event async for event in events])

    watching = asyncio.create_task(watch())
    await call.doors.entered.wait()
    call.doors.opened.set()
    await asyncio.wait_for(watching, 60)
    assert [event_view(event) for event in watched] == (await call("tasks.events", {"task_id": "root"}))["events"]
    assert (watched[0].type, watched[-1].type) == ("tree_created", "tree_settled")


async def test_two_clients_are_served_at_once_and_requests_of_one_side_by_side(call, remote, path):
    waits = asyncio.create_task(remote.call("tasks.execute", {"tasks": WAITING, "wait": 60}, LOCAL))
    await call.doors.entered.wait()
    async with to(path) as other:
        for engine in (remote, other):
            assert (await engine.call("tasks.running.count", {}, LOCAL)) == {"total": 1}
    call.doors.opened.set()
    assert (await waits)["status"] == "completed"


async def test_a_client_that_leaves_in_the_midst_of_watching_disturbs_nobody(call, endpoint, path):
    await call("tasks.execute", {"tasks": WAITING})
    async with line_by_line(path) as send:
        assert (await send(b'{"id": 1, "method": "watch", "params": {"task_id": "root"}}'))["params"]["seq"] == 1
    await asyncio.wait_for(endpoint.idle.wait(), 60)
    call.doors.opened.set()
    assert (await call.engine.manager.wait("root")).status == "completed"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"no json", "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[" * 50_000, "the request is not JSON"),
        (b"[]", "the request has to be an object with a method"),
        (b"null", "the request has to be an object with a method"),
        (b'{"id": 1, "method": 5}', "the request has to be an object with a method"),
        (b'{"id": 1, "method": "tasks.get", "params": "root"}', "params have to be an object or an array"),
        (b'{"id": 1, "method": "watch", "params": {"after": "x"}}', "watch takes task_id, a string, and after, an integer"),
    ],
)
async def test_what_is_no_request_is_refused_and_the_next_one_is_answered(endpoint, path, line, told, caplog):
    async with line_by_line(path) as send:
        refused = await send(line)
        assert (refused["error"]["code"], refused["error"]["message"]) == (-32602, told)
        answer = await send(b'{"id": 2, "method": "tasks.count"}')
        assert answer == {"jsonrpc": "2.0", "id": 2, "result": {"total": 0, "counts": {}}}
    assert not caplog.records


async def test_a_line_beyond_the_limit_is_refused_and_the_client_let_go(endpoint, path):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"id": 1, "method": "' + b"x" * 100_001)
    hello, refused = [json.loads(line) for line in (await reader.read()).splitlines()]
    writer.close()
    assert hello["params"] == {"pid": os.getpid()}
    assert (refused["id"], refused["error"]["code"]) == (None, TooLarge.code)


async def test_a_fault_is_an_internal_error_without_its_details(call, endpoint, path, monkeypatch, caplog):
    async def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(call.engine, "call", broken)
    async with line_by_line(path) as send:
        answer = await send(b'{"id": 1, "method": "tasks.count"}')
    assert answer["error"] == {
        "code": -32603,
        "message": "Something unexpected went wrong inside apflow.",
        "data": {"type": "Unexpected"},
    }
    assert "a request failed" in caplog.text


async def test_closing_answers_what_was_asked_and_ends_what_goes_on(call, path, monkeypatch):
    await call("tasks.execute", {"tasks": WAITING})
    asked, operate = asyncio.Event(), call.engine.call

    async def slow(*request):
        asked.set()
        for _ in range(20):
            await asyncio.sleep(0)
        return await operate(*request)

    monkeypatch.setattr(call.engine, "call", slow)
    async with AsyncExitStack() as stack:
        async with serving(call.engine, path) as endpoint:
            remote = await stack.enter_async_context(to(path))
            watching = remote.watch("root")
            assert (await anext(watching)).seq == 1
            counting = asyncio.create_task(remote.call("tasks.count", {}, LOCAL))
            await asked.wait()
        assert endpoint.idle.is_set()
        assert (await counting)["total"] == 2
        with pytest.raises(ConnectionLost):
            await to_the_end(watching)
        with pytest.raises(ConnectionLost):
            await remote.call("tasks.count", {}, LOCAL)
    with pytest.raises(StorageOwned, match="No such file"):
        await stack.enter_async_context(to(path))


async def test_watchers_elsewhere_are_told_of_a_storage_that_failed(call, remote):
    await call("tasks.execute", {"tasks": WAITING})
    watching = remote.watch("root")
    assert (await anext(watching)).seq == 1
    call.engine.manager._keeper.journal.fail(StorageUnavailable("flow.db: is gone"))
    with pytest.raises(StorageUnavailable, match=r"flow\.db: is gone"):
        await to_the_end(watching)


async def test_two_who_resume_at_once_run_a_tree_once(call, remote):
    await call("tasks.create", {"tasks": WAITING})
    storage = call.engine.storage
    tree = await storage.tree("root")
    from apflow_hookspecs import Batch, Change

    change = Change(tree.token, 1)
    change.tree.update(status="in_progress", status_at=1, run=1, requested_at=1)
    assert await storage.commit(Batch(changes={"root": change}))
    answers = await asyncio.gather(*(remote.call("tasks.resume", {}, LOCAL) for _ in range(5)))
    assert all([task["id"] for task in answer["tasks"]] == ["root"] for answer in answers)
    call.doors.opened.set()
    assert (await call.engine.manager.wait("root")).status == "completed"
    events = [event["type"] for event in (await call("tasks.events", {"task_id": "root"}))["events"]]
    assert (events.count("task_started"), events.count("tree_settled")) == (2, 1)


async def test_a_socket_that_was_left_behind_is_replaced(call, path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with pytest.raises(StorageOwned, match=r"process 7; it cannot be reached through .*refused"):
        await to(path).__aenter__()
    async with serving(call.engine, path), to(path) as remote:
        assert (await remote.call("tasks.count", {}, LOCAL))["total"] == 0


@pytest.mark.parametrize("said", [b"", b"who goes there\n", b"[]\n", b"{}\n"])
async def test_whoever_does_not_greet_is_no_owner(path, said):
    async def stranger(_, writer):
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(stranger, path):
        with pytest.raises(StorageOwned, match="does not let us in") as caught:
            await to(path).__aenter__()
    assert (caught.value.pid, caught.value.endpoint) == (7, path)


async def test_an_owner_that_serves_nothing_cannot_be_reached():
    with pytest.raises(StorageOwned, match="in use by process 7"):
        await to(None).__aenter__()


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


async def test_the_socket_is_this_users_alone(endpoint, path):
    assert mode(path) == 0o600


@pytest.fixture
def public():
    """A folder that every user can enter, unlike those of `tmp_path`."""
    with TemporaryDirectory() as folder:
        allow_all(folder)
        yield Path(folder)


def allow_all(path):
    Path(path).chmod(0o777)


@pytest.mark.skipif(os.getuid() != 0 or not hasattr(socket, "SO_PEERCRED"), reason="needs root on Linux")
@pytest.mark.parametrize("open_to_all", [False, True])
async def test_another_user_is_not_let_in(call, public, open_to_all):
    path = str(public / "socket")
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX)\n"
        "try:\n    s.connect(sys.argv[1]); s.settimeout(30); print(s.recv(100))\nexcept PermissionError: print('refused')"
    )
    async with serving(call.engine, path):
        if open_to_all:  # as if an administrator had gone too far
            allow_all(path)
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, path, stdout=subprocess.PIPE)
        out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert out == (b"b''\n" if open_to_all else b"refused\n")


async def test_a_backup_is_for_the_users_of_this_machine(call, tmp_path):
    from apflow_hookspecs import Caller
    from apflow_hookspecs.errors import InvalidParams, PermissionDenied

    with pytest.raises(PermissionDenied, match="only its own users"):
        await call("system.backup", {"target": str(tmp_path / "copy")}, Caller("eve", frozenset({"admin"})))
    with pytest.raises(PermissionDenied, match="scope 'admin'"):
        await call("system.backup", {"target": str(tmp_path / "copy")}, Caller("eve", frozenset({"submit"})))
    with pytest.raises(InvalidParams, match="absolute"):
        await call("system.backup", {"target": "copy"})
