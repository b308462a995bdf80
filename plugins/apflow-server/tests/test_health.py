"""Whether the server says that it is well, and only then."""

import pytest
from samples import echo

from apflow.memory.storage import MemoryStorage
from apflow.testing.faults import Lifeline, lent

from .raw import head, said, status
from .serving import served


async def test_it_lives_and_is_ready():
    async with served(echo) as server:
        for path in ("/health/live", "/health/ready"):
            answer = await server.http.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_its_storage_it_lives_and_is_not_ready():
    lifeline = Lifeline(MemoryStorage())
    async with served(echo, **lent(lifeline)) as server:
        lifeline.cut()
        assert (await server.http.get("/health/live")).status_code == 200
        ready = await server.http.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
        listed = await server.http.get("/tasks")
        assert (listed.status_code, listed.json()["error"]["code"], "process is dead" in listed.text) == (503, -32015, False)


async def test_about_to_stop_it_is_not_ready():
    async with served(echo) as server:
        server.app.state.server.draining.set()
        assert (await server.http.get("/health/ready")).status_code == 503
        assert (await server.http.get("/health/live")).status_code == 200


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "anything"])
async def test_a_probe_needs_no_name(host):
    async with served(echo) as server:
        assert (await server.http.get("/health/ready", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_health_is_only_looked_at(method):
    async with served(echo) as server:
        assert status(await said(server.port, head(method, "/health/live"))) == 405
