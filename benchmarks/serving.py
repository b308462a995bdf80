"""`python -m benchmarks.serving`: what a request costs the server of apflow, and what it bears.

Three measurements, each with the server in a process of its own and on a new file:

- `tasks.get` beside an endpoint that answers an empty JSON object, on the same Starlette and uvicorn, in turn;
- submissions at a high concurrency: how many arrive, and how the server's memory grows meanwhile;
- the time to answer `/health/live` and `/health/ready` while a large tree runs.

The load comes from plain sockets in this process, for a client library would be measured instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
from attrs import frozen

BARE = """
import socket, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def empty(request):
    return JSONResponse({})

sockets = [socket.create_server(("127.0.0.1", 0))]
print(f"serving on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", empty)]), log_level="error", access_log=False)).run(sockets)
"""
UNLIMITED = {"APFLOW_BLOCK": "ratelimit", "APFLOW_SERVER__MAX_NODES": "10000000", "APFLOW_SERVER__MAX_BODY": "1000000000"}
PLUGIN = """
from apflow_hookspecs import executor, hookimpl

@executor("nothing")
async def nothing(n: int = 0) -> int:
    return n

@hookimpl
def apflow_executors():
    yield nothing
"""


@frozen
class Served:
    """A server that listens."""

    port: int
    process: psutil.Process

    @property
    def megabytes(self) -> float:
        """Its resident memory."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def serving(*command: str, **environment: str) -> Iterator[Served]:
    """A server in a process of its own, ended with the block."""
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout.readline, "")  # type: ignore[union-attr]
        found = next((found for line in lines if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line))), None)
        if found is None:
            raise SystemExit("the server did not start")
        yield Served(int(found[1]), psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def apflow_serving() -> Iterator[Served]:
    """A server of apflow on a new file, with an executor that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "benchmark_nothing.py").write_text(PLUGIN)
        info = path / "apflow_nothing-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: apflow-nothing\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[apflow]\nnothing = benchmark_nothing\n")
        with serving(
            "-m", "apflow", "serve", "--port", "0", PYTHONPATH=folder, APFLOW_DB=str(path / "flow.db"),
            APFLOW_MAX_TASKS_PER_TREE="1000000", APFLOW_MAX_OPEN_TASKS="1000000", **UNLIMITED,
        ) as served:  # fmt: skip
            yield served


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Callable[[bytes], Any]]:
    """Sends requests one after the other, and gives the bodies of the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)

    async def ask(request: bytes) -> bytes:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.partition(b":")[2]))
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head.decode()}{body.decode()[:500]}")
        return body

    try:
        yield ask
    finally:
        writer.close()


def get(path: str, port: int) -> bytes:
    """A request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def rpc(port: int, method: str, params: Any) -> bytes:
    """A JSON-RPC request."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return f"POST /tasks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def load(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Seconds for all requests over so many connections, and the seconds of each."""
    waiting, taken = iter(requests), list[float]()

    async def client() -> None:
        async with connection(port) as ask:
            for request in waiting:
                begun = time.perf_counter()
                await ask(request)
                taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return time.perf_counter() - begun, taken


def percentile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)] * 1000


async def reading(requests: int, connections: int, turns: int) -> None:
    """`tasks.get` beside an empty endpoint."""
    rates: dict[str, list[float]] = {"empty": [], "POST /tasks": [], "GET /tasks/{id}": []}
    with serving("-c", BARE) as bare, apflow_serving() as ours:
        async with connection(ours.port) as ask:
            await ask(rpc(ours.port, "tasks.create", [{"id": "root"}, {"id": "t", "parent_id": "root", "executor": "nothing"}]))
        for _ in range(turns):
            for name, port, request in (
                ("empty", bare.port, get("/", bare.port)),
                ("POST /tasks", ours.port, rpc(ours.port, "tasks.get", {"task_id": "t"})),
                ("GET /tasks/{id}", ours.port, get("/tasks/t", ours.port)),
            ):
                seconds, _ = await load(port, [request] * requests, connections)
                rates[name].append(requests / seconds)
    print(f"\ntasks.get, {connections} connections, {requests} requests, medians of {turns} turns")
    for name, found in rates.items():
        ratio = statistics.median(one / other for one, other in zip(found, rates["empty"], strict=True))
        print(f"  {name:<16} {statistics.median(found):>8,.0f} requests/s   {ratio:.2f} of empty")


async def submitting(trees: int, connections: int) -> None:
    """Trees of one task, many at once."""
    with apflow_serving() as ours:
        request = rpc(ours.port, "tasks.create", {"executor": "nothing", "name": "n", "execute": True})
        await load(ours.port, [request] * 500, connections)
        before, steps = ours.megabytes, list[float]()
        seconds = 0.0
        for _ in range(5):
            seconds += (await load(ours.port, [request] * (trees // 5), connections))[0]
            steps.append(ours.megabytes)
        async with connection(ours.port) as ask:
            while True:
                counted = json.loads(await ask(rpc(ours.port, "tasks.count", {})))["result"]
                if set(counted["counts"]) <= {"completed"}:
                    break
                await asyncio.sleep(0.1)
    print(f"\n{trees:,} trees of one task submitted and run, {connections} at once: {trees / seconds:,.0f}/s")
    print(f"  stored and completed {counted['total'] - 500:,} of {trees:,}")
    print(f"  memory {before:.0f} MiB before, then {', '.join(f'{step:.0f}' for step in steps)} MiB")


async def health(tasks: int) -> None:
    """While a large tree runs."""
    with apflow_serving() as ours:
        array = [
            {"id": "root"},
            *({"executor": "nothing", "parent_id": "root", "name": f"t{n}", "inputs": {"n": n}} for n in range(tasks)),
        ]
        async with connection(ours.port) as ask:
            begun = time.perf_counter()
            await ask(rpc(ours.port, "tasks.create", {"tasks": array, "execute": True}))
            print(f"\na tree of {tasks:,} tasks, accepted after {time.perf_counter() - begun:.1f} s")
            taken: dict[str, list[float]] = {"/health/live": [], "/health/ready": []}
            count = rpc(ours.port, "tasks.get", {"task_id": "root"})
            while json.loads(await ask(count))["result"]["status"] in ("pending", "in_progress"):
                for path, seconds in taken.items():
                    for _ in range(20):
                        at = time.perf_counter()
                        await ask(get(path, ours.port))
                        seconds.append(time.perf_counter() - at)
                        await asyncio.sleep(0.005)
            print(f"  run after {time.perf_counter() - begun:.1f} s")
    for path, seconds in taken.items():
        fast, slow = percentile(seconds, 0.5), percentile(seconds, 0.99)
        print(f"  {path:<14} p50 {fast:.1f} ms, p99 {slow:.1f} ms ({len(seconds)} requests)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--trees", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--only", choices=["reading", "submitting", "health"])
    asked = parser.parse_args()
    if asked.only in (None, "reading"):
        asyncio.run(reading(asked.requests, asked.connections, asked.turns))
    if asked.only in (None, "submitting"):
        asyncio.run(submitting(asked.trees, asked.at_once))
    if asked.only in (None, "health"):
        asyncio.run(health(asked.tasks))


if __name__ == "__main__":
    main()
