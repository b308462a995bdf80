"""One attempt within its deadline, and the pause after it."""

from __future__ import annotations

import asyncio
import time
from math import inf
from random import Random

from attrs import frozen

from apflow_hookspecs import CallNext, Json, Wait
from apflow_retry.backoff import asked_for, delay_after
from apflow_retry.errors import Overdue, Unwanted, is_mended
from apflow_retry.options import RetryOptions


@frozen
class Deadline:
    """When no more is tried.

    Args:
        seconds: From `since` on; None is no end.
        since: Instant.
    """

    seconds: float | None
    since: int

    def left(self, at: int | None = None) -> float:
        """Seconds from an instant, or from now, to the deadline."""
        if self.seconds is None:
            return inf
        return self.seconds - ((time.time_ns() // 1000 if at is None else at) - self.since) / 1_000_000

    def over(self, what: str) -> Overdue:
        """The error that tells what had no time left."""
        message = f"{what} within the deadline of {self.seconds:g} s"
        return Overdue(message, error="deadline", details={"deadline": self.seconds})


async def attempted(call: CallNext, options: RetryOptions, deadline: Deadline) -> Json | Wait:
    """Make one attempt; a result that the options do not want is a failure.

    Raises:
        Overdue: The deadline came first, or comes before what the attempt waits for.
        Unwanted: The result is one that `retry_if` names.
    """
    left = deadline.left()
    if left <= 0:
        raise deadline.over("no attempt began")
    result = await _cut_off(call, deadline, None if left == inf else left)
    if isinstance(result, Wait):
        if result.kind == "until" and result.at is not None and deadline.left(result.at) <= 0:
            raise deadline.over("what it waits for does not come")
        return result
    if options.retry_if is not None and options.retry_if.holds(result):
        raise Unwanted(options.retry_if, result)
    return result


async def _cut_off(call: CallNext, deadline: Deadline, seconds: float | None) -> Json | Wait:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            result = await call()
    except Exception as error:
        if limit.expired():
            raise deadline.over("the attempt did not end") from error
        raise
    if limit.expired():
        raise deadline.over("the attempt did not end")
    return result


def pause(error: Exception, attempt: int, options: RetryOptions, deadline: Deadline, random: Random) -> float | None:
    """Seconds until the next attempt; None where there is to be none.

    Args:
        error: What the last attempt failed with. What it asks for (`retry_after`) is the least, and no `max_delay` shortens it.
        attempt: The last one, counted from 1.
        options: Of the task.
        deadline: Likewise.
        random: Draws the delay.

    Raises:
        Overdue: Another attempt is to be made, and would begin after the deadline.
    """
    if attempt >= options.max_attempts or not is_mended(error, options):
        return None
    seconds = max(delay_after(attempt, options, random), asked_for(error))
    if seconds >= deadline.left():
        raise deadline.over(f"{type(error).__name__}: {error}; another attempt, after {seconds:g} s, does not begin") from error
    return seconds
