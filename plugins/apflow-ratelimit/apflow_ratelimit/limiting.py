"""What is counted, for whom, and when it is too much."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from attrs import define, field
from limits import RateLimitItem
from starlette.requests import HTTPConnection

from apflow_hookspecs import Caller
from apflow_hookspecs.errors import ConfigError, Overloaded, Problem, RateLimited
from apflow_ratelimit.callers import counted_for
from apflow_ratelimit.counting import REST, Away, Count, Counting
from apflow_ratelimit.options import Options

REQUESTS = "requests"
"""The name of the rate of all requests."""


@define(eq=False)
class Tally:
    """What was counted for one request.

    Args:
        who: For whom it counts.
        counts: The latest of each rate, by its name.
        ahead: Whether the next operation was counted already, as the request itself.
    """

    who: str
    counts: dict[str, Count] = field(factory=dict)
    ahead: bool = False


class Limiting:
    """The rate limit of one server.

    Args:
        options: The operator's.
        operations: The names of the catalogue.

    Raises:
        ConfigError: A rate is for an operation that there is not, or what talks to Redis is not installed.
    """

    def __init__(self, options: Options, operations: Collection[str]) -> None:
        self._rate, self._of_operations = options.rates()
        if unknown := [name for name in self._of_operations if name not in operations]:
            raise ConfigError(problems=tuple(_unknown(name, options, operations) for name in unknown))
        self._refuses_uncounted = options.when_away == "refuse"
        self._proxies = options.proxies()
        self._counting = Counting.of(options)

    async def begin(self, connection: HTTPConnection) -> None:
        """Count a request, before it is known what it asks for.

        Raises:
            RateLimited: It was one too many.
            Overloaded: It could not be counted, and is to be.
        """
        tally = self._tally(connection, getattr(connection.state, "caller", None))
        connection.state.tally = tally
        await self._count(tally, REQUESTS, self._rate)
        tally.ahead = True

    async def admit(self, connection: HTTPConnection, caller: Caller, operation: str) -> None:
        """Count an operation; the first of a request is that request.

        Raises:
            RateLimited: It was one too many.
            Overloaded: It could not be counted, and is to be.
        """
        tally: Tally = getattr(connection.state, "tally", None) or self._tally(connection, caller)
        if not tally.ahead:
            await self._count(tally, REQUESTS, self._rate)
        tally.ahead = False
        if (rate := self._of_operations.get(operation)) is not None:
            await self._count(tally, operation, rate)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._counting.aclose()

    def _tally(self, connection: HTTPConnection, caller: Caller | None) -> Tally:
        return Tally(counted_for(caller, connection, self._proxies))

    async def _count(self, tally: Tally, name: str, rate: RateLimitItem) -> None:
        try:
            count = await self._counting.count(name, rate, tally.who)
        except Away:
            if self._refuses_uncounted:
                raise Overloaded("requests cannot be counted now; try again later", retry_after=REST) from None
            return
        tally.counts[name] = count
        if not count.admitted:
            message = f"{name}: more than {rate.amount} in {rate.get_expiry()} s; try again in {count.retry_after} s"
            raise RateLimited(message, retry_after=count.retry_after)


def _unknown(name: str, options: Options, operations: Collection[str]) -> Problem:
    nearest = get_close_matches(name, operations, n=1)
    rule = f"there is no such operation{f'; did you mean {nearest[0]}?' if nearest else ''}"
    return Problem(rule, field=f"ratelimit.operations.{name}", value=options.operations[name])
