"""Tokens: how many attempts may begin within a time. The counting is that of the library `limits`."""

from __future__ import annotations

import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

MARGIN = 0.001
"""Seconds after which a token that has become free is there for certain."""
SWEEP = 1000
"""Tokens after which it is looked for keys that nobody uses any more."""


class Rates:
    """The tokens of one host.

    It is the blocking flavour of the library: in memory it blocks nobody and takes a token in one step, while the asynchronous
    one goes through a thread for each.
    """

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._taken = 0

    def tokens(self, rate: str, key: str) -> Tokens:
        """Those of a key, at a rate as an author writes it."""
        return Tokens(self, parse(rate), key)

    def left(self, rate: RateLimitItem, key: str) -> tuple[int, float]:
        """How many tokens there are, and in how many seconds there will be one more."""
        stats = self._limiter.get_window_stats(rate, key)
        return stats.remaining, max(0.0, stats.reset_time - time.time())

    def take(self, rate: RateLimitItem, key: str) -> bool:
        """Take a token where there is one."""
        self._taken += 1
        if self._taken % SWEEP == 0:
            for unused in [key for key, taken in self._storage.events.items() if not taken]:
                self._storage.clear(unused)
        return self._limiter.hit(rate, key)


class Tokens:
    """The tokens of one key."""

    def __init__(self, rates: Rates, rate: RateLimitItem, key: str) -> None:
        self._rates = rates
        self._rate = rate
        self._key = key

    def take(self, ahead: int) -> bool:
        """Take one where there are some beside those for them who are ahead."""
        return self._rates.left(self._rate, self._key)[0] > ahead and self._rates.take(self._rate, self._key)

    def delay(self, ahead: int) -> float:
        """Seconds until there may be one, as if those ahead came evenly; 0 where there is one."""
        left, seconds = self._rates.left(self._rate, self._key)
        if left > ahead:
            return 0.0
        return seconds + (ahead - left) * self._rate.get_expiry() / self._rate.amount + MARGIN
