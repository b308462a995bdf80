"""What a request may be, and how long it may take."""

import asyncio
import gzip
import time
from contextlib import suppress

import pytest
from samples import Recorder, echo

from apflow_hookspecs import Caller
from apflow_hookspecs.errors import InvalidParams
from apflow_server.decoding import decoded
from apflow_server.errors import NotJson
from apflow_server.options import Options

from .raw import connected, head, said, status
from .serving import served

CALL = b'{"method": "tasks.count"}'
OPTIONS = Options()


def chunks(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


@pytest.fixture
async def server():
    async with served(echo, max_body=1000, body_timeout=0.3, keep_alive=0.3) as running:
        yield running


async def test_a_body_may_be_as_long_as_it_may(server):
    assert (await server.http.post("/tasks", content=CALL.ljust(1000))).status_code == 200


async def test_a_body_that_says_it_is_too_long_is_not_read(server):
    answer = await said(server.port, head("POST", Content_Length=1001))
    assert status(answer) == 413
    assert '"code":-32016' in answer


async def test_a_body_in_chunks_is_refused_while_it_is_read(server):
    answer = await said(server.port, head("POST", Transfer_Encoding="chunked"), chunks(b"x" * 600, b"x" * 600))
    assert status(answer) == 413


async def test_a_body_in_chunks_is_read(server):
    answer = await said(server.port, head("POST", Transfer_Encoding="chunked"), chunks(CALL[:9], CALL[9:], b""))
    assert status(answer) == 200


@pytest.mark.parametrize("path", ["/tasks", "/tasks/a/execute", "/system"])
async def test_a_body_that_takes_too_long_is_refused(server, path):
    answer = await said(server.port, head("POST", path, Content_Length=10), b"{")
    assert status(answer) == 408


async def test_a_request_that_is_answered_before_its_body_came_is_not_kept_open(server):
    assert status(await said(server.port, head("GET", Content_Length=10).replace("close", "keep-alive"), b"{")) == 200


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", "deflate"])
async def test_a_compressed_body_is_refused(server, encoding):
    answer = await server.http.post("/tasks", content=gzip.compress(CALL), headers={"Content-Encoding": encoding})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": "-1"}, {"Content_Length": "1e3"}, {"Content_Length": "5, 5"}, {"Content_Length": "9" * 40},
        {"Content_Length": "5", "Transfer_Encoding": "chunked"}, {"Transfer_Encoding": "chunked, identity"},
    ],
    ids=repr,
)  # fmt: skip
async def test_a_length_that_makes_no_sense_is_refused(server, headers):
    assert status(await said(server.port, head("POST", **headers), CALL)) == 400


async def test_two_lengths_are_refused(server):
    twice = head("POST", Content_Length=5).replace("Connection", "Content-Length: 6\r\nConnection")
    assert status(await said(server.port, twice, CALL)) == 400


REFUSED = {
    "numbers": b"[" + b",".join([b"1"] * 8_000_000) + b"]",
    "texts": b"[" + b",".join([b'""'] * 5_000_000) + b"]",
    "brackets": b"[" * 16_000_000,
    "objects": b'{"a":' * 3_000_000,
    "depth": b"[" * 65 + b"]" * 65,
    "object depth": b'{"a":' * 65 + b"1" + b"}" * 65,
    "101 digits": b"[" + b"1" * 101 + b"]",
    "NUL": b'{"a": "\\u0000"}',
    "NUL in a name": b'{"\\u0000": 1}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_json_out_of_bounds_is_refused(body):
    with pytest.raises(InvalidParams):
        decoded(body, OPTIONS)


@pytest.mark.parametrize("body", [b"1" * 5_000, b"1" * 1_000_000, b"-" + b"9" * 5_000, b'"' * 99_999], ids=len)
def test_a_number_that_is_too_long_to_read_is_no_json(body):
    with pytest.raises(NotJson):
        decoded(body, OPTIONS)


@pytest.mark.parametrize(
    "body",
    [b"[" * 64 + b"]" * 64, b"1" * 100, b'"' + b",[{" * 200_000 + b'"', b'["' + b'\\\\\\",' * 200_000 + b'"]', b'"\\\\u0000"'],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_within_bounds_is_read(body):
    decoded(body, OPTIONS)


def test_values_are_counted_but_not_what_stands_in_texts():
    three = Options(max_nodes=4)
    assert decoded(b'["a,[{", 1, {}]', three) == ["a,[{", 1, {}]
    with pytest.raises(InvalidParams):
        decoded(b'["a,[{", 1, 2, {}]', three)


async def test_the_json_of_a_request_is_bounded():
    async with served(max_depth=3, max_nodes=50) as server:
        for body in (b'{"method": "a", "params": {"b": {"c": {}}}}', b"[" + b"1," * 60 + b"1]"):
            answer = await server.http.post("/tasks", content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


async def test_what_comes_when_enough_is_being_done_is_sent_away_and_health_answers():
    recorder = Recorder()
    async with served(*recorder.executors(), max_requests=1) as server:
        body = {"method": "tasks.execute", "params": {"tasks": [{"id": "a", "executor": "held"}], "wait": 60}}
        waiting = asyncio.create_task(server.http.post("/tasks", json=body, timeout=60))
        await recorder.at_gate.wait()
        refused = await server.http.get("/tasks")
        assert (refused.status_code, refused.json()["error"]["code"], refused.headers["Retry-After"]) == (503, -32013, "1")
        assert (await server.http.get("/health/ready")).status_code == 200
        recorder.gate.set()
        assert (await waiting).json()["result"]["status"] == "completed"
        assert (await server.http.get("/tasks")).status_code == 200


async def test_bodies_that_do_not_arrive_keep_nobody_else_out():
    async with served(echo, max_requests=8, body_timeout=30) as server:
        slow = [asyncio.create_task(said(server.port, head("POST", Content_Length=100))) for _ in range(12)]
        refused = [await answer for _, answer in zip(range(10), asyncio.as_completed(slow), strict=False)]
        assert [status(answer) for answer in refused] == [503] * 10
        assert (await server.http.get("/tasks")).status_code == 200
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        until = time.monotonic() + 30
        while (await server.http.post("/tasks", content=CALL)).status_code == 503:
            assert time.monotonic() < until


async def test_a_request_that_is_sent_behind_another_is_answered_however_long_it_takes():
    recorder = Recorder()
    async with served(*recorder.executors(), keep_alive=0.2) as server:
        tree = await server.engine.call("tasks.create", {"executor": "held"}, Caller.local())
        body = b'{"method": "tasks.execute", "params": {"task_id": "%s", "wait": 60}}' % tree["id"].encode()
        first = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        second = head("POST", Content_Length=len(body)).encode()
        async with connected(server.port) as (reader, writer):
            writer.write(first + second + body[:10])
            await reader.readuntil(b'"ok"}')
            writer.write(body[10:])
            await recorder.at_gate.wait()
            asyncio.get_running_loop().call_later(0.5, recorder.gate.set)  # longer than a connection is kept
            answer = await reader.read(100_000)
        assert b"HTTP/1.1 200" in answer


async def test_a_client_that_goes_away_gives_its_place_back():
    recorder = Recorder()
    async with served(*recorder.executors(), max_requests=1) as server:
        body = b'{"method": "tasks.execute", "params": {"tasks": [{"id": "a", "executor": "held"}], "wait": 1e9}}'
        async with connected(server.port) as (_, writer):
            writer.write(head("POST", Content_Length=len(body)).encode() + body)
            await recorder.at_gate.wait()
        until = time.monotonic() + 30
        while (await server.http.get("/tasks")).status_code == 503:
            assert time.monotonic() < until
        recorder.gate.set()
        assert (await server.engine.manager.wait("a")).status == "completed"


async def test_a_head_that_is_too_large_is_refused(server):
    assert status(await said(server.port, head(X="y" * 70_000))) == 431
    assert status(await said(server.port, head(**{f"X{n}": "y" for n in range(10_000)}))) == 431
    assert status(await said(server.port, head(path=f"/{'x' * 65_000}", X="y" * 1000))) == 431


async def test_a_head_that_never_ends_is_cut_off(server):
    answer = await said(server.port, "GET / HTTP/1.1\r\n", *(f"X-{n}: {'y' * 1000}\r\n" for n in range(100)))
    assert status(answer) in (431, None)


async def test_whoever_is_slow_or_silent_is_cut_off():
    async with served(header_timeout=0.2, keep_alive=0.2) as server:
        answers = await asyncio.gather(
            said(server.port), said(server.port, "GET /tas"), said(server.port, head().replace("close", "keep-alive"))
        )
        assert [status(answer) for answer in answers] == [408, 408, 200]


async def test_a_reader_that_takes_nothing_is_cut_off():
    async with served(echo, write_timeout=0.2, send_buffer=4096) as server:
        await server.engine.creator.create_task_tree_from_array(
            [{"id": "a", "executor": "echo", "inputs": {"value": "x" * 900_000}}]
        )
        async with connected(server.port) as (_, writer):
            writer.transport.pause_reading()
            writer.write(head(path="/tasks/a").encode())
            await asyncio.wait_for(cut_off(writer), 60)


async def cut_off(writer):
    with suppress(ConnectionError):
        while True:
            writer.write(b"more")
            await writer.drain()
            await asyncio.sleep(0.01)


async def test_more_connections_than_there_may_be_are_sent_away():
    async with served(max_connections=2, header_timeout=30) as server, connected(server.port), connected(server.port):
        assert status(await said(server.port, head())) in (503, None)


@pytest.mark.parametrize(
    "words",
    [b"\0\0\0\0", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET /\xff HTTP/1.1\r\n\r\n",
     b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nA : b\r\n\r\n"],
    ids=repr,
)  # fmt: skip
async def test_what_is_no_http_is_refused(server, words):
    answer = await said(server.port, words, end=True)
    assert status(answer) in (400, 404, 421, None)
    assert "Traceback" not in answer


OPENINGS = ("", "GET", head("POST", Content_Length=100), head("POST", Transfer_Encoding="chunked") + "5\r\na")


async def test_hostile_clients_leave_others_alone_and_are_gone_soon():
    async with (
        served(echo, header_timeout=1, body_timeout=1, keep_alive=1, write_timeout=1) as server,
        asyncio.TaskGroup() as group,
    ):
        for opening in OPENINGS * 50:
            group.create_task(said(server.port, opening))
        for _ in range(20):
            assert (await server.http.get("/tasks")).status_code == 200
