"""The policy `limit`: what it does around an attempt."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from apflow_hookspecs import CallNext, Json, Policy, TaskContext, TaskFailed, Wait
from apflow_limit.keys import counted_for
from apflow_limit.line import Line
from apflow_limit.options import Options

if TYPE_CHECKING:
    from apflow_limit.tokens import Rates

_Limit = tuple[str, int | None, str | None]


class Limiting:
    """The limits of one host, counted in memory, in one process."""

    def __init__(self) -> None:
        self._lines: dict[_Limit, Line] = {}
        self._rates: Rates | None = None

    @property
    def policy(self) -> Policy:
        """The policy."""
        summary = "Limit how many run at once, and how many in a time"
        return Policy("limit", self.around, options=Options, order=400, summary=summary)

    async def around(self, call_next: CallNext, context: TaskContext, options: Options) -> Json | Wait:
        """Let an attempt pass when its turn has come."""
        limit = counted_for(context, options.key), options.concurrency, options.rate
        line = self._line(limit)
        ticket, since = f"{context.idempotency_key}:{context.attempt}", context.since
        try:
            began = await line.enter_soon(ticket, since) if options.when_over == "wait" else line.enter(ticket, since)
            if began is None:
                return _over(limit, line, ticket, since, options)
            try:
                return await call_next()
            finally:
                line.leave(began)
        finally:
            if line.idle:
                self._lines.pop(limit, None)

    def _line(self, limit: _Limit) -> Line:
        line = self._lines.get(limit)
        if line is None:
            key, concurrency, rate = limit
            tokens = None if rate is None else self._tokens().tokens(rate, key)
            line = self._lines[limit] = Line(concurrency, tokens, asyncio.get_running_loop().time)
        return line

    def _tokens(self) -> Rates:
        if self._rates is None:
            from apflow_limit.tokens import Rates  # noqa: PLC0415 - `limits` takes a quarter of a second, and few need it

            self._rates = Rates()
        return self._rates


def _over(limit: _Limit, line: Line, ticket: str, since: int, options: Options) -> Wait:
    """What becomes of an attempt over the limit.

    Raises:
        TaskFailed: It is not to wait (`rate_limited`).
    """
    if options.when_over == "wait":
        return Wait.until(time.time_ns() // 1000 + round(line.wait(ticket, since) * 1_000_000))
    key, concurrency, rate = limit
    most = " and ".join([*([f"{concurrency} at once"] if concurrency else ()), *([rate] if rate else ())])
    seconds = line.delay(ticket, since)
    raise TaskFailed(
        f"too many: {key} may run {most}; there may be room in {seconds:.3g} s", error="rate_limited", retry_after=seconds
    )
