"""Counting, in memory or in Redis: what is left of a rate."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any

from attrs import define, field, frozen
from limits import RateLimitItem
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError

from apflow_hookspecs.errors import ConfigError
from apflow_ratelimit.memory import BoundedMemory
from apflow_ratelimit.options import MEMORY, Options

REST = 5.0
"""Seconds for which Redis is not asked again after it has not answered."""
WARN_EVERY = 60.0
"""Seconds between two warnings."""

_log = logging.getLogger(__name__)


@frozen
class Count:
    """A request that was counted, or was one too many.

    Args:
        name: Of the rate: of an operation, or `requests`.
        rate: How many there may be in which time.
        left: How many more there may be now.
        seconds: Until there may be one more than that.
    """

    name: str
    rate: RateLimitItem
    admitted: bool
    left: int
    seconds: float

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least one, after which there is room again."""
        return max(1, math.ceil(self.seconds))


class Away(Exception):
    """The storage of the counts does not answer."""


@define(eq=False)
class Counting:
    """Counts by sliding windows: two numbers for each rate and caller, however high the rate is.

    Args:
        storage: Where they are.
        timeout: Seconds in which it has to answer.
    """

    _storage: Storage
    _timeout: float
    _limiter: SlidingWindowCounterRateLimiter = field(init=False)
    _rests_until: float = field(default=-math.inf, init=False)
    _silent_until: float = field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    @classmethod
    def of(cls, options: Options) -> Counting:
        """As it is configured.

        Raises:
            ConfigError: Redis is configured, and what talks to it is not installed.
        """
        memory = options.storage == MEMORY
        return cls(BoundedMemory(options.max_counts) if memory else _redis(options.storage), options.storage_timeout)

    async def count(self, name: str, rate: RateLimitItem, who: str) -> Count:
        """Count one, where there is room for it.

        Raises:
            Away: The storage did not answer.
        """
        now = asyncio.get_running_loop().time()
        if now < self._rests_until:
            raise Away
        try:
            async with asyncio.timeout(self._timeout):
                admitted = await self._limiter.hit(rate, "apflow", name, who)
                stats = await self._limiter.get_window_stats(rate, "apflow", name, who)
        except (StorageError, TimeoutError) as error:
            self._rests_until = now + REST
            self._warn(now, error)
            raise Away from error
        return Count(name, rate, admitted, stats.remaining, max(0.0, stats.reset_time - time.time()))

    async def aclose(self) -> None:
        """Close the connections."""
        if isinstance(self._storage, RedisStorage):
            bridge: Any = self._storage.bridge
            await bridge.get_connection().aclose()

    def _warn(self, now: float, error: Exception) -> None:
        if now >= self._silent_until:
            self._silent_until = now + WARN_EVERY
            _log.warning("the storage of the rate limit does not answer: %s", str(error) or type(error).__name__)


def _redis(url: str) -> RedisStorage:
    try:
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - not everybody has it
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"ratelimit.storage: Redis needs `pip install 'apflow-ratelimit[redis]'`: {error}") from error
    # By itself the client tries again for seconds, in which the request would wait.
    retry: Any = Retry(NoBackoff(), 0)
    try:
        return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy", retry=retry)
    except (ConfigurationError, ValueError):
        # What the library says of a URL holds its password.
        raise ConfigError("ratelimit.storage: must be redis://host:port/number, as redis://cache.internal:6379/0") from None
