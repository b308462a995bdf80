"""Clients that mean harm, two hundred at once, beside some that do not."""

import asyncio
import os
import socket
import statistics
import struct
import time
from collections import Counter
from contextlib import suppress

import httpx
import psutil
import pytest

from .raw import head

LIMITS = {
    "HEADER_TIMEOUT": "2", "BODY_TIMEOUT": "2", "WRITE_TIMEOUT": "2", "KEEP_ALIVE": "2", "STREAM_STALL": "2",
    "STREAMS_PER_USER": "100",
    "MAX_BODY": "1000000",
}  # fmt: skip
SOON = 60
"""Seconds after which hostile clients have to be gone; each of them may be patient for 2."""

KEPT = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200))


async def patient(reader, writer):
    """Reads nothing, says nothing, and stays."""
    writer.transport.pause_reading()
    await asyncio.Event().wait()


async def drip(writer, part):
    """Says a little, for ever."""
    with suppress(OSError):
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.1)


async def slow_head(reader, writer):
    writer.write(b"GET /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    await drip(writer, b"y")


async def slow_headers(reader, writer):
    writer.write(b"GET /tasks HTTP/1.1\r\n")
    await drip(writer, b"X: y\r\n")


async def slow_body(reader, writer):
    writer.write(head("POST", Content_Length=1000).encode())
    await drip(writer, b" ")


async def chunked_for_ever(reader, writer):
    writer.write(head("POST", Transfer_Encoding="chunked").encode())
    await drip(writer, b"1\r\n \r\n")


async def chunked_without_pause(reader, writer):
    writer.write(head("POST", Transfer_Encoding="chunked").encode())
    with suppress(OSError):
        while True:
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await writer.drain()


async def body_of_a_get(reader, writer):
    writer.write(head("GET", Transfer_Encoding="chunked").replace("close", "keep-alive").encode())
    await drip(writer, b"1\r\n \r\n")


async def silent(reader, writer):
    await patient(reader, writer)


async def reads_no_answer(reader, writer):
    writer.write(head(path="/tasks/big").encode())
    await patient(reader, writer)


async def reads_no_stream(reader, writer):
    writer.write(KEPT.format("/tasks/many/events").encode())
    await patient(reader, writer)


async def pipelines(reader, writer):
    writer.write(KEPT.format("/tasks/big").encode() * 1000)
    await patient(reader, writer)


async def pipelines_and_reads(reader, writer):
    writer.write(KEPT.format("/health/live").encode() * 1000)
    with suppress(OSError):
        while await reader.read(65536):
            pass


async def many_headers(reader, writer):
    writer.write(head(**{f"X{n}": "y" for n in range(10_000)}).encode())
    await patient(reader, writer)


async def half_closed(reader, writer):
    writer.write(head("POST", Content_Length=1000).encode() + b"{")
    writer.write_eof()
    await patient(reader, writer)


async def reset(reader, writer):
    writer.write(head("POST", Content_Length=1000).encode() + b"{")
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def says(words):
    async def speaks(reader, writer):
        writer.write(words)
        await patient(reader, writer)

    return speaks


HOSTILE = {
    "silent": silent, "slow head": slow_head, "slow headers": slow_headers, "slow body": slow_body,
    "body of a GET": body_of_a_get,
    "chunked for ever": chunked_for_ever, "chunked without a pause": chunked_without_pause, "many headers": many_headers,
    "reads no answer": reads_no_answer, "reads no stream": reads_no_stream, "pipelines": pipelines,
    "pipelines and reads": pipelines_and_reads,
    "half closed": half_closed, "reset": reset, "garbage": says(os.urandom(3000)), "TLS": says(HELLO),
    "HTTP/2": says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50)), "an answer": says(b"HTTP/1.1 200 OK\r\n\r\n"),
    "an upgrade": says(head(Upgrade="websocket", Sec_WebSocket_Key="a", Sec_WebSocket_Version="13").replace("close",
    "Upgrade").encode()),
    "a keep-alive": says(KEPT.format("/health/live").encode()),
}  # fmt: skip


async def meet(port, kind, met):
    """One connection of a client, with little room for what it is sent; its own port is noted with its kind."""
    made = socket.socket()
    made.setblocking(False)  # noqa: FBT003 - the method takes no name
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    met[made.getsockname()[1]] = kind
    reader, writer = await asyncio.open_connection(sock=made)
    try:
        with suppress(OSError):
            await HOSTILE[kind](reader, writer)
    finally:
        writer.transport.abort()


async def behaved(port, times):
    """Durations of the requests of five clients, who need no patience."""
    durations = []

    async def one(client):
        for _ in range(times):
            begun = time.perf_counter()
            answer = await client.get("/tasks", params={"limit": "1"})
            durations.append(time.perf_counter() - begun)
            assert answer.status_code == 200, answer.text

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        await asyncio.gather(*(one(client) for _ in range(5)))
    return durations


def clients(process, met):
    """The kinds of those whom a server has a connection with."""
    found = (each.raddr.port for each in process.net_connections("tcp") if each.raddr)
    return Counter(met.get(port, "behaved") for port in found)


async def until(seen, limit=SOON):
    """Wait until something is seen, or its time is over."""
    end = time.monotonic() + limit
    while not seen() and time.monotonic() < end:  # noqa: ASYNC110 - another process tells of no events
        await asyncio.sleep(0.1)
    return time.monotonic() - end + limit


@pytest.fixture
def service(serve):
    """A server that has something large to tell, and does not count the requests of an address."""
    limits = {f"APFLOW_SERVER__{name}": value for name, value in LIMITS.items()}
    return serve(APFLOW_BLOCK="ratelimit", **limits)


def fill(service):
    """A tree with a task that has much to tell, and another with many events; more than a socket holds of either."""
    many = [{"id": "many"}, *({"id": f"m{number}", "parent_id": "many", "executor": "echo"} for number in range(1500))]
    for tasks in ([{"id": "big", "executor": "echo", "inputs": {"value": "x" * 900_000}}], many):
        params = {"tasks": tasks, "execute": True}
        service.http.post("/tasks", json={"method": "tasks.create", "params": params}).raise_for_status()
        wait(service, tasks[0]["id"])


def wait(service, tree_id):
    """Until the run of a tree is over."""
    with service.http.stream("GET", f"/tasks/{tree_id}/events") as events:
        for _ in events.iter_raw():
            pass


async def test_two_hundred_hostile_clients_do_not_slow_the_others_and_leave_nothing(service):
    fill(service)
    process, port, met = psutil.Process(service.running.pid), service.http.base_url.port, {}
    service.http.close()
    alone = statistics.median(await behaved(port, 40))
    await until(lambda: not clients(process, met))
    files, threads = process.num_fds(), process.num_threads()
    attack = [asyncio.create_task(meet(port, kind, met)) for kind in HOSTILE for _ in range(200 // len(HOSTILE))]
    await until(lambda: len(met) == len(attack))
    beside = statistics.median(await behaved(port, 40))
    medians = f"{alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside {len(attack)} hostile clients"
    print(f"median of a request: {medians}")  # noqa: T201 - no bound of time says as much
    took = await until(lambda: not clients(process, met))
    assert not clients(process, met)
    print(f"gone {took:.1f} s later")  # noqa: T201 - likewise
    for each in attack:
        each.cancel()
    await asyncio.gather(*attack, return_exceptions=True)
    assert process.num_fds() <= files
    assert process.num_threads() <= threads + 2
    assert beside < max(20 * alone, 2.0)
