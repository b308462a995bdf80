"""How long a request may take and how much its answer may hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from apflow_guard.options import GuardOptions
from apflow_guard.refusals import TooLong


@frozen
class Bounds:
    """The bounds of one request with all its hops.

    Args:
        seconds: What it was given.
        deadline: When they are over, by the loop's clock.
        max_bytes: Of the decoded body.
    """

    seconds: float
    deadline: float
    max_bytes: int

    @classmethod
    def starting(cls, options: GuardOptions, seconds: float | None = None, max_bytes: int | None = None) -> Bounds:
        """Bounds of a request that starts now, by default as configured."""
        seconds = options.timeout if seconds is None else seconds
        now = asyncio.get_running_loop().time()
        return cls(seconds, now + seconds, options.max_bytes if max_bytes is None else max_bytes)

    @asynccontextmanager
    async def held(self, host: str) -> AsyncIterator[None]:
        """End what stands in the block at the deadline.

        Raises:
            TooLong: It was ended.
        """
        scope = asyncio.timeout_at(self.deadline)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise TooLong(host, self.seconds) from None
