"""Plain functions beside the event loop, each in a daemon thread of its own.

A pool would make the process wait, at its end, for a function that hangs; a daemon thread does not.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any


async def in_thread(function: Callable[..., Any], /, **arguments: Any) -> Any:
    """What a function returns or raises. A caller that is cancelled goes on without the function, which cannot be stopped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(function, **arguments)
        except StopIteration as caught:  # a future cannot carry it
            error = RuntimeError(f"{type(caught).__name__}: {caught}")
        except BaseException as caught:  # noqa: BLE001 - whatever it is, it belongs to the caller
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=f"apflow-{getattr(function, '__name__', 'executor')}", daemon=True).start()
    return await future
