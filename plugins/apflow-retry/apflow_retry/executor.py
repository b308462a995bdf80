"""An executor that tries another one again, for Python without a host."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from apflow_hookspecs import ExecutableTask, Json, TaskContext, Wait
from apflow_retry.options import RetryIf, RetryOptions

_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


class RetryExecutor:
    """Another executor, which is called again when it fails.

        fetch = RetryExecutor(fetch_executor, max_retries=5, delay=0.5, on=["ConnectionError"])
        result = await fetch.execute({"url": "https://example.org"})

    The delays pass in `asyncio.sleep`. After the last try its error is raised. `Retry`, `Lost` and a `Wait` are for an engine,
    and pass. Everything else (`summary`, schemas, `Params`, `on_crash`, `cancel`) is that of the executor inside.

    In a host the policy `retry` does more: it holds no slot while it waits, survives a restart, and each attempt is recorded.
    There, as with every class, inputs come as they are: nothing is structured into a function's types.

    Args:
        executor: What is tried.
        max_retries: Tries in all, from 1.
        id: Its own, where a host has both; by default that of the executor.
        random: Draws the delays.
        options: As of `RetryOptions`, but for `max_attempts`.

    Raises:
        ValueError: An option does not fit.
    """

    def __init__(
        self,
        executor: ExecutableTask,
        max_retries: int = 3,
        *,
        id: str | None = None,
        random: Random | None = None,
        **options: Any,
    ) -> None:
        if type(max_retries) is not int or max_retries < 1:
            raise ValueError(f"max_retries = {max_retries!r}: must be an integer from 1")
        self.executor = executor
        self.id = executor.id if id is None else id
        if "max_attempts" in options:
            raise ValueError("max_attempts: is called max_retries here, and counts all tries")
        if isinstance(options.get("retry_if"), Mapping):
            options["retry_if"] = RetryIf(**options["retry_if"])
        self.options = RetryOptions(max_attempts=max_retries, **options)
        self._random = Random() if random is None else random  # noqa: S311 - nothing is guarded by it
        self._with_context = _takes_context(executor)

    def __getattr__(self, name: str) -> Any:
        if name == "executor":  # of one that is being copied there is none yet
            raise AttributeError(name)
        return getattr(self.executor, name)

    def __repr__(self) -> str:
        return f"<RetryExecutor of {self.executor!r}>"

    async def execute(self, inputs: dict[str, Any], context: TaskContext | None = None) -> Json | Wait:
        """Try until it works, the tries are used up, or the error is one that lasts.

        Raises:
            TaskFailed: With the code `deadline` where that came first; else the last error is raised as it is.
        """
        import asyncio  # noqa: PLC0415 - a plugin is imported at every start, and few starts run anything

        from apflow_retry.trying import Deadline, attempted, pause  # noqa: PLC0415 - likewise

        async def call() -> Any:
            arguments = (dict(inputs), context) if self._with_context else (dict(inputs),)
            result: Any = self.executor.execute(*arguments)
            return await result if inspect.isawaitable(result) else result

        deadline = Deadline(self.options.deadline, time.time_ns() // 1000)
        attempt = 1
        while True:
            try:
                return await attempted(call, self.options, deadline)
            except Exception as error:
                seconds = pause(error, attempt, self.options, deadline, self._random)
                if seconds is None:
                    raise
            await asyncio.sleep(seconds)
            attempt += 1


def _takes_context(executor: ExecutableTask) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(executor.execute).parameters.values()]
    positional = [kind for kind in kinds if kind not in _BY_NAME]
    return len(positional) > 1 or inspect.Parameter.VAR_POSITIONAL in positional
