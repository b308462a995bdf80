"""The events of a tree over HTTP, to readers that come late, come again, read slowly, or do not read at all."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from contextlib import asynccontextmanager, suppress

import pytest
from attrs import frozen
from samples import Recorder, group, noop, task

from apflow.testing.clock import VirtualClock
from apflow_hookspecs import Caller, TaskContext, Wait, executor, hookimpl
from apflow_hookspecs.errors import NotFound, Overloaded, StorageUnavailable
from apflow_server.streams import KEEP_ALIVE

from .raw import connected, head
from .serving import served

PARALLEL = [group("root"), task("a", "noop"), task("b", "noop")]
SLOW = {"send_buffer": 4096, "stream_buffer": 8}


@frozen
class Message:
    id: int | None
    type: str
    data: object


def parsed(text):
    """The messages of a stream, without its comments."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block.strip()]
    return [
        Message(int(block["id"]) if "id" in block else None, block["event"], json.loads(block["data"]))
        for block in blocks
        if "event" in block
    ]


@executor("ask")
async def ask(context: TaskContext):
    return context.answer if context.answer is not None else Wait.for_input("Well?")


async def create(server, *tasks, execute=True):
    await server.engine.call("tasks.create", {"tasks": list(tasks), "execute": execute}, Caller.local())


async def read(server, path, **headers):
    answer = await server.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


@asynccontextmanager
async def reading(server, path="/tasks/root/events", **headers):
    """The messages of a stream, as they come."""
    async with server.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        yield messages(answer)


async def messages(answer):
    block = ""
    async for line in answer.aiter_lines():
        block += line + "\n"
        if not line:
            for message in parsed(block):
                yield message
            block = ""


@asynccontextmanager
async def not_reading(server, path="/tasks/root/events"):
    """A reader that takes next to nothing."""
    client = socket.socket()
    client.settimeout(0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    loop = asyncio.get_running_loop()
    with client:
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        await loop.sock_sendall(client, head(path=path).encode())
        yield client


def watchers(server):
    return server.engine._keeper.events._watchers


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is looked at sets no event
            await asyncio.sleep(0)


async def took_all(client):
    """What a reader gets that starts to read after all, to the end of the connection."""
    loop, parts = asyncio.get_running_loop(), []
    while part := await loop.sock_recv(client, 65536):
        parts.append(part)
    return b"".join(parts).decode()


def body_of(answer):
    """The body of an answer that came in chunks."""
    return re.sub(r"(?:^|\r\n)[0-9a-f]+\r\n", "", answer.partition("\r\n\r\n")[2])


@pytest.fixture
async def server():
    async with served(noop, ask) as running:
        yield running


async def test_two_parallel_leaves_are_told_to_the_end(server):
    await create(server, *PARALLEL, execute=False)
    async with reading(server) as told:
        assert (await anext(told)).type == "tree_created"
        await server.engine.call("tasks.execute", {"task_id": "root"}, Caller.local())
        rest = [message async for message in told]
    assert [message.id for message in rest] == list(range(2, 10))
    assert [message.type for message in rest].count("tree_settled") == 1
    assert rest[-1].type == "tree_settled"
    assert [message.data["seq"] for message in rest] == [message.id for message in rest]


async def test_a_stream_holds_what_the_operation_tells(server):
    await create(server, *PARALLEL)
    told = await read(server, "/tasks/root/events")
    stored = await server.engine.call("tasks.events", {"task_id": "root"}, Caller.local())
    assert [message.data for message in told] == stored["events"]


async def test_any_task_names_its_tree(server):
    await create(server, *PARALLEL)
    assert await read(server, "/tasks/a/events") == await read(server, "/tasks/root/events")


async def test_a_stream_is_what_browsers_and_proxies_expect(server):
    await create(server, *PARALLEL)
    answer = await server.http.get("/tasks/root/events")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"


async def test_a_question_about_a_stream_is_answered_without_its_events(server):
    await create(server, *PARALLEL, execute=False)
    answer = await server.http.head("/tasks/root/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")


@pytest.mark.parametrize(
    ("path", "headers", "first"),
    [
        ("/tasks/root/events?after=4", {}, 5),
        ("/tasks/root/events", {"Last-Event-ID": "8"}, 9),
        ("/tasks/root/events?after=2", {"Last-Event-ID": "7"}, 8),
        ("/tasks/root/events?after=x", {"Last-Event-ID": "7"}, 8),
        ("/tasks/root/events", {"Last-Event-ID": "0"}, 1),
    ],
)
async def test_a_reader_goes_on_where_it_was(server, path, headers, first):
    await create(server, *PARALLEL)
    await read(server, "/tasks/root/events")
    assert [message.id for message in await read(server, path, **headers)] == list(range(first, 10))


@pytest.mark.parametrize("last", ["9", "10", "999999999999999999"])
async def test_a_reader_that_has_seen_all_of_a_run_is_told_not_to_come_again(server, last):
    await create(server, *PARALLEL)
    await read(server, "/tasks/root/events")
    assert (await server.http.get("/tasks/root/events", headers={"Last-Event-ID": last})).status_code == 204


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "1e3", "+1", "1 2", "0x1", "٣".encode(), "9" * 19, "9" * 5000])
async def test_a_number_that_is_none_is_refused(server, number):
    await create(server, *PARALLEL)
    answer = await server.http.get("/tasks/root/events", headers={"Last-Event-ID": number})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
    assert "must be the number of an event" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("query", "named"), [("after=", "after"), ("after=-1", "after"), ("afer=3", "afer")])
async def test_a_query_that_does_not_fit_is_refused_by_name(server, query, named):
    await create(server, *PARALLEL)
    answer = await server.http.get(f"/tasks/root/events?{query}")
    (problem,) = answer.json()["error"]["data"]["problems"]
    assert (answer.status_code, problem["field"]) == (400, named)


async def test_a_tree_that_waits_keeps_its_stream_open(server):
    await create(server, task("root", "ask"))
    async with reading(server) as told:
        async for message in told:
            if message.type == "task_waiting":
                break
        await server.engine.call("tasks.answer", {"task_id": "root", "answer": "yes"}, Caller.local())
        assert [message.type async for message in told][-1] == "tree_settled"


async def test_a_stream_of_another_run_begins_where_the_last_one_ended(server):
    await create(server, *PARALLEL)
    before = await read(server, "/tasks/root/events")
    await server.engine.call("tasks.execute", {"task_id": "root", "rerun": True}, Caller.local())
    again = await read(server, "/tasks/root/events", **{"Last-Event-ID": str(before[-1].id)})
    assert again[0].id == before[-1].id + 1
    assert (again[-1].type, again[-1].data["run"]) == ("tree_settled", 2)


async def test_a_client_that_leaves_frees_what_it_held(server):
    await create(server, *PARALLEL, execute=False)
    before = asyncio.all_tasks()
    async with reading(server, "/tasks/a/events") as told:
        assert (await anext(told)).id == 1
        assert watchers(server)
        assert not asyncio.all_tasks() <= before
    await until(lambda: not watchers(server))
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_user_reads_so_many_streams_at_once():
    async with served(noop, streams_per_user=2) as server:
        await create(server, *PARALLEL, execute=False)
        async with reading(server) as one, reading(server) as two:
            await anext(one)
            await anext(two)
            refused = await server.http.get("/tasks/root/events")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, -32013)
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["data"]["type"] == "RateLimited"
        await until(lambda: not watchers(server))
        async with reading(server) as again:
            assert (await anext(again)).id == 1


class Users:
    """Who says in a header who it is, is believed."""

    @hookimpl
    def apflow_credentials(self):
        return ["a header"]

    @hookimpl
    def apflow_authenticate(self, request):
        user, scopes = request.headers.get("x-user"), request.headers.get("x-scopes", "read")
        return None if user is None else Caller(user, frozenset(scopes.split()))

    @hookimpl
    def apflow_admit(self, caller, operation):
        if caller.user_id == "hasty" and operation == "tasks.events":
            raise Overloaded("slowly")


@pytest.fixture
async def guarded():
    async with served(noop, plugins={"users": Users()}, streams_per_user=1) as running:
        await running.engine.call("tasks.create", {"tasks": [task("root", "noop") | {"user_id": "ada"}]}, Caller.local())
        yield running


async def test_another_user_is_answered_as_if_there_were_no_such_tree(guarded):
    foreign = await guarded.http.get("/tasks/root/events", headers={"x-user": "eve"})
    missing = await guarded.http.get("/tasks/tree/events", headers={"x-user": "eve"})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace("root", "tree") == missing.text
    assert foreign.headers == missing.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"x-user": "ada", "x-scopes": "submit"}, 403), ({"x-user": "hasty"}, 503)],
)
async def test_who_may_not_read_gets_no_stream(guarded, headers, status):
    assert (await guarded.http.get("/tasks/root/events", headers=headers)).status_code == status


async def test_a_user_who_reads_too_much_holds_up_nobody_else(guarded):
    async with reading(guarded, **{"x-user": "ada"}) as told:
        await anext(told)
        assert (await guarded.http.get("/tasks/root/events", headers={"x-user": "ada"})).status_code == 429
        async with reading(guarded, **{"x-user": "root", "x-scopes": "admin"}) as another:
            assert (await anext(another)).id == 1


async def test_a_denied_stream_is_audited(guarded, caplog):
    await guarded.http.get("/tasks/root/events", headers={"x-user": "ada", "x-scopes": "submit"})
    (record,) = [record for record in caplog.records if record.name == "apflow.audit"]
    assert (record.user, record.operation, record.ids, record.decision) == ("ada", "tasks.events", ["root"], "denied")


def many(count=2000):
    """A tree whose tasks run at once, when its gate is opened."""
    return [group("root"), task("gate", "held"), *(task(f"t{i}", "noop", dependencies=["gate"]) for i in range(count))]


async def test_a_reader_that_falls_behind_is_told_and_can_go_on_from_there():
    recorder = Recorder()
    async with served(noop, *recorder.executors(), **SLOW) as server:
        await create(server, *many())
        await recorder.at_gate.wait()
        async with not_reading(server) as slow, reading(server) as quick:
            await until(lambda: len(watchers(server).get("root", ())) == 2)
            recorder.gate.set()
            told = [message async for message in quick]
            await until(lambda: not watchers(server))
            late = parsed(body_of(await took_all(slow)))
        assert [message.id for message in told] == list(range(1, len(told) + 1))
        assert told[-1].type == "tree_settled"
        assert (late[-1].id, late[-1].type) == (None, "lagged")
        last = late[-2].id
        rest = await read(server, "/tasks/root/events", **{"Last-Event-ID": str(last)})
        assert [message.id for message in rest] == list(range(last + 1, len(told) + 1))


async def test_a_reader_may_take_its_time_with_what_was_stored():
    recorder = Recorder()
    recorder.gate.set()
    async with served(noop, *recorder.executors(), **SLOW) as server:
        await create(server, *many())
        await server.engine.manager.wait("root")
        async with not_reading(server) as slow:
            await until(lambda: watchers(server))
            told = parsed(body_of(await took_all(slow)))
        assert [message.id for message in told] == list(range(1, len(told) + 1))
        assert told[-1].type == "tree_settled"


@pytest.mark.parametrize(("stall", "write"), [(0.2, 60.0), (60.0, 0.2)])
async def test_a_reader_that_takes_nothing_is_dropped(stall, write):
    recorder = Recorder()
    recorder.gate.set()
    async with served(noop, *recorder.executors(), **SLOW, stream_stall=stall, write_timeout=write) as server:
        await create(server, *many())
        await server.engine.manager.wait("root")
        before = asyncio.all_tasks()
        async with not_reading(server) as slow:
            await until(lambda: watchers(server))
            await until(lambda: not watchers(server))
            await until(lambda: asyncio.all_tasks() <= before)
            with suppress(ConnectionError):
                assert not (await took_all(slow)).endswith("\r\n0\r\n\r\n")


async def test_a_stream_ends_with_the_server(server):
    await create(server, *PARALLEL, execute=False)
    async with server.http.stream("GET", "/tasks/root/events") as answer:
        chunks = answer.aiter_text()
        assert "tree_created" in await anext(chunks)
        server.app.state.server.ending.set()
        assert "".join([chunk async for chunk in chunks]) == ": the server stops\n\n"


async def test_a_stream_goes_on_while_the_engine_drains():
    recorder = Recorder()
    async with served(*recorder.executors()) as server:
        await create(server, task("root", "held"))
        await recorder.at_gate.wait()
        async with reading(server) as told:
            draining = asyncio.ensure_future(server.engine.drain())
            assert (await anext(told)).type == "tree_created"
            recorder.gate.set()
            assert [message.type async for message in told][-1] == "tree_settled"
            await draining


async def test_events_that_cannot_be_read_end_the_stream_without_a_word_of_the_inside(server, caplog):
    await create(server, *PARALLEL, execute=False)
    async with reading(server) as told:
        await anext(told)
        server.engine._keeper.events.end_watching(StorageUnavailable("/secret/flow.db is full"))
        (failed,) = [message async for message in told]
    assert (failed.id, failed.type, failed.data["code"]) == (None, "failed", StorageUnavailable.code)
    assert "secret" not in failed.data["message"]
    assert "/secret/flow.db is full" in caplog.text


async def test_the_stream_of_a_tree_that_is_deleted_ends(server):
    await create(server, *PARALLEL, execute=False)
    async with reading(server) as told:
        assert (await anext(told)).id == 1
        await server.engine.call("tasks.delete", {"task_id": "root"}, Caller.local())
        (failed,) = [message async for message in told]
    assert (failed.type, failed.data["code"]) == ("failed", NotFound.code)


def test_silence_is_filled_with_comments():
    clock = VirtualClock()

    async def scenario():
        async with served(noop) as server:
            await create(server, *PARALLEL, execute=False)
            async with connected(server.port) as (reader, writer):
                writer.write(head(path="/tasks/root/events").encode())
                await reader.readuntil(b'"tree_created"')
                begun = clock.monotonic()
                await reader.readuntil(b": still here\n\n")
                await reader.readuntil(b": still here\n\n")
                return clock.monotonic() - begun

    assert clock.run(scenario()) == pytest.approx(2 * KEEP_ALIVE, abs=1)


def took(service, path="/tasks/root/events", until=None, **headers):
    """The messages of a stream of a program, to its end, or to the one that is waited for."""
    with service.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        text = ""
        for line in answer.iter_lines():
            text += line + "\n"
            if not line and until is not None and until(parsed(text)[-1]):
                break
        return parsed(text)


def test_a_reader_gets_what_it_missed_while_the_server_was_killed_and_started_again(serve, tmp_path):
    gate = tmp_path / "gate"
    tasks = [group("root"), task("quick", "echo"), task("slow", "held", gate=str(gate))]
    killed = serve()
    killed.http.post("/tasks", json={"method": "tasks.create", "params": {"tasks": tasks, "execute": True}})
    before = took(killed, until=lambda message: message.data["task_id"] == "quick" and message.type == "task_settled")
    killed.running.send(signal.SIGKILL)
    killed.running.finish()
    gate.touch()
    started = serve()
    after = took(started, **{"Last-Event-ID": str(before[-1].id)})
    whole = took(started)
    assert before + after == whole
    assert [message.id for message in whole] == list(range(1, len(whole) + 1))
    assert [message.type for message in whole].count("tree_settled") == 1
    assert "task_recovered" in [message.type for message in after]
