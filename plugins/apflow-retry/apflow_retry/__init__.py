"""A policy for apflow that makes failed attempts again, and an executor that does so without a host."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from apflow_hookspecs import CallNext, Json, Policy, Retry, TaskContext, Wait, hookimpl
from apflow_retry.executor import RetryExecutor
from apflow_retry.options import RetryIf, RetryOptions

__all__ = ["Retries", "RetryExecutor", "RetryIf", "RetryOptions"]


class Retries:
    """The plugin.

    Attributes:
        random: Draws the delays; a test may put one with a seed in its place.
    """

    def __init__(self) -> None:
        self.random = Random()  # noqa: S311 - nothing is guarded by it

    @hookimpl
    def apflow_policies(self) -> Iterator[Policy]:
        """Provide the policy."""
        yield Policy(
            "retry", self.around, RetryOptions, order=200, summary="Make a failed attempt again, after a delay that grows"
        )

    async def around(self, call_next: CallNext, context: TaskContext, options: RetryOptions) -> Json | Wait:
        """Make one attempt, and decide about the next, which is the engine's to make."""
        from apflow_retry.trying import Deadline, attempted, pause  # noqa: PLC0415 - asyncio, which few starts need

        deadline = Deadline(options.deadline, context.since)
        try:
            return await attempted(call_next, options, deadline)
        except Exception as error:
            after = pause(error, context.attempt, options, deadline, self.random)
            if after is None:
                raise
            raise Retry(after) from error
