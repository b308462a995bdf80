"""The policy `cache`: what it does around an attempt."""

from __future__ import annotations

import asyncio

from apflow_cache.flights import Flights
from apflow_cache.options import Bounds, Options
from apflow_cache.results import Kept, Results, kept
from apflow_hookspecs import CallNext, Engine, Json, Policy, TaskContext, Wait, rfc3339

REUSED = "reused the result of an equal task"


class Caching:
    """Where the results of one host are kept, and which equal tasks run at the moment."""

    _results: Results

    def __init__(self) -> None:
        self._flights = Flights[Kept]()

    def begin(self, engine: Engine) -> None:
        """Read the section `[cache]`."""
        self._results = Results(engine, engine.section("cache", Bounds).max_result_bytes)

    @property
    def policy(self) -> Policy:
        """The policy."""
        return Policy("cache", self.around, options=Options, order=100, summary="Reuse the result of an equal task")

    async def around(self, call_next: CallNext, context: TaskContext, options: Options) -> Json | Wait:
        """Give back the result of an equal task, or run this one and keep its result.

        A task that comes back from a wait of its executor's is left alone: what it was answered is not among its inputs.
        """
        if context.wait is not None:
            return await call_next()
        key = await self._results.key(context, options)
        boarding = f"{key} refresh" if options.refresh else key  # a fresh result is not one that somebody else has read
        flight = await self._flights.board(boarding)
        if flight.shared is not None:
            return _reused(flight.shared, context)
        try:
            found = None if options.refresh else await self._results.read(key, options.ttl)
            if found is not None:
                flight.shared = found
                return _reused(found, context)
            result = await call_next()
            fresh = None if isinstance(result, Wait) or _given_up() else kept(result, context.task.id)
            if fresh is not None:
                await self._results.write(key, fresh, options.ttl)
                flight.shared = fresh
            return result
        finally:
            self._flights.land(boarding, flight)


def _reused(found: Kept, context: TaskContext) -> Json:
    context.log.info(REUSED, extra={"cached_from": found.task_id, "cached_at": rfc3339(found.at)})
    context.report(1.0, REUSED)
    return found.result


def _given_up() -> bool:
    """Whether this attempt was cancelled and its executor returned all the same: that may be half a result."""
    running = asyncio.current_task()
    return running is not None and running.cancelling() > 0
