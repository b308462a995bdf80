"""The section of the configuration."""

from __future__ import annotations

import pytest

from apflow.testing import engine_of
from apflow_hookspecs.errors import ConfigError
from apflow_ratelimit import RateLimit

RATE_RULE = "must be so many requests in so many seconds, minutes, hours or days, as '600/minute' or '5/10 seconds'"


async def told(**section):
    """Why a server with this section does not start."""
    async with engine_of(sections={"ratelimit": section}) as engine:
        with pytest.raises(ConfigError) as refused:
            list(RateLimit().apflow_middleware(engine))
    return str(refused.value)


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        ({"rate": "fast"}, f"rate = 'fast': {RATE_RULE}"),
        ({"rate": "0/minute"}, f"rate = '0/minute': {RATE_RULE}"),
        ({"rate": "-1/minute"}, RATE_RULE),
        ({"rate": "1/second; 10/minute"}, RATE_RULE),
        ({"rate": 600}, "ratelimit.rate = 600: must be text"),
        ({"operations": {"tasks.create": "often"}}, f"operations.tasks.create = 'often': {RATE_RULE}"),
        ({"operations": {"tasks.creat": "1/second"}}, "there is no such operation; did you mean tasks.create?"),
        ({"storage": "mysql://db"}, "storage: must be 'memory:', or begin with one of 'redis://', 'rediss://'"),
        ({"when_away": "wait"}, "must be one of 'allow', 'refuse'"),
        ({"storage_timeout": 0}, "storage_timeout = 0.0: must be above 0 and at most 4 seconds"),
        ({"storage_timeout": 5}, "must be above 0 and at most 4 seconds"),
        ({"storage_timeout": float("nan")}, "must be"),
        ({"trusted_proxies": ["proxy.internal"]}, "trusted_proxies: 'proxy.internal' must be an address or a network"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "trusted_proxies: '10.0.0.1/8' must be an address or a network"),
        ({"max_counts": 0}, "max_counts = 0: must be at least 1"),
        ({"rates": "1/second"}, "is unknown; did you mean rate?"),
    ],
)
async def test_what_does_not_fit_keeps_the_server_from_starting(section, rule):
    message = await told(**section)
    assert "ratelimit" in message
    assert rule in message


@pytest.mark.parametrize("rate", ["600/minute", "100 / minute", "5/10 seconds", "3 per hour", "3 per 2 days", "1/MINUTE"])
async def test_a_rate_is_written_as_the_library_reads_it(rate):
    async with engine_of(sections={"ratelimit": {"rate": rate, "operations": {"tasks.create": rate}}}) as engine:
        (middleware,) = RateLimit().apflow_middleware(engine)
    assert middleware.kwargs["limiting"]


@pytest.mark.parametrize("url", ["redis://:hunter22@cache:port/0", "redis://:hunter22@[cache:6379"])
async def test_a_url_that_leads_nowhere_is_told_without_its_password(url):
    pytest.importorskip("redis")
    message = await told(storage=url)
    assert "ratelimit.storage: must be redis://host:port/number" in message
    assert "hunter22" not in message


async def test_without_the_library_for_redis_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis.asyncio.retry", None)
    assert "pip install 'apflow-ratelimit[redis]'" in await told(storage="redis://localhost:6379")
