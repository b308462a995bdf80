"""Counts that servers share, in a real Redis."""

from __future__ import annotations

import logging
import signal

import pytest

from apflow_ratelimit import counting

from .conftest import ask, served, statuses

IMPATIENT = {"storage_timeout": 0.2, "rate": "3/day"}


@pytest.fixture
def restless(monkeypatch):
    """Redis is asked again at once after it has not answered."""
    monkeypatch.setattr(counting, "REST", 0.0)


async def test_servers_share_their_counts(redis):
    async with served(storage=redis.url, rate="3/day") as one, served(storage=redis.url, rate="3/day") as other:
        assert await statuses(one, 2) == [200, 200]
        assert await statuses(other, 2) == [200, 429]
        refused = await ask(one)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')


async def test_users_and_operations_are_counted_alone(redis):
    async with served(storage=redis.url, operations={"tasks.count": "1/day"}) as client:
        assert await statuses(client, 2, name="ada") == [200, 429]
        assert await statuses(client, 2, name="bob") == [200, 429]
        assert await statuses(client, 1, name="bob", method="tasks.list") == [200]


async def test_while_redis_is_away_requests_are_let_in_and_a_line_of_the_log_says_so(redis, restless, caplog):
    async with served(storage=redis.url, **IMPATIENT) as client:
        assert await statuses(client, 4) == [200, 200, 200, 429]
        redis.stop()
        assert await statuses(client, 4) == [200] * 4
        assert "RateLimit" not in (await ask(client)).headers
    (line,) = [record for record in caplog.records if record.name.startswith("apflow_ratelimit")]
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith("the storage of the rate limit does not answer: Error")


async def test_while_redis_is_away_requests_are_refused_where_the_operator_wants_that(redis):
    async with served(storage=redis.url, when_away="refuse", **IMPATIENT) as client:
        redis.stop()
        told = await ask(client)
    assert told.status_code == 503
    assert told.headers["Retry-After"] == "5"
    assert told.json()["error"]["message"] == "requests cannot be counted now; try again later"


async def test_a_redis_that_hangs_is_not_waited_for(redis):
    async with served(storage=redis.url, **IMPATIENT) as client:
        redis.running.send(signal.SIGSTOP)
        assert await statuses(client, 4) == [200] * 4
        redis.running.send(signal.SIGCONT)


async def test_a_redis_that_has_come_back_counts_again(redis, restless):
    async with served(storage=redis.url, **IMPATIENT) as client:
        await ask(client)
        redis.stop()
        await ask(client)
        redis.start()
        assert await statuses(client, 4) == [200, 200, 200, 429]


async def test_a_redis_that_was_started_again_is_not_missed(redis, caplog):
    async with served(storage=redis.url, **IMPATIENT) as client:
        await ask(client)
        redis.stop()
        redis.start()
        assert await statuses(client, 4) == [200, 200, 200, 429]
    assert not [record for record in caplog.records if record.name.startswith("apflow_ratelimit")]
