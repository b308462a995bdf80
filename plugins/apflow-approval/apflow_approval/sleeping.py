"""An executor that waits for an instant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from apflow_approval.moments import later, rule_against
from apflow_hookspecs import Json, TaskContext, TaskFailed, Wait, executor, rfc3339


@executor("sleep_executor", summary="Wait for some seconds, or until an instant; restarts do not prolong it")
async def sleep(context: TaskContext, seconds: float | None = None, until: str | None = None) -> dict[str, Json] | Wait:
    """Wait, without a slot and without a process that has to live on.

    Args:
        context: Of the attempt.
        seconds: From the first call on; 0 to ten years.
        until: RFC 3339 with a zone; one that has passed is no wait.

    Returns:
        `{"slept_until", "woken_at"}`: the instant that was waited for, and that at which the task went on.
    """
    if context.wait is not None:
        return {"slept_until": rfc3339(context.wait.at), "woken_at": rfc3339(time.time_ns() // 1000)}
    for name, rule in sleep_problems({"seconds": seconds, "until": until}):
        raise TaskFailed(f"input {name!r} {rule}", error="bad_input")
    moment = until if seconds is None else seconds
    return Wait.until(later(0 if moment is None else moment))


def sleep_problems(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the inputs, by name, as far as they are known."""
    given = [name for name in ("seconds", "until") if inputs.get(name) is not None]
    if not given:
        yield "seconds", "is needed, or input 'until'"
    if len(given) > 1:
        yield "until", "cannot stand beside input 'seconds'"
    for name in given:
        rule = rule_against(inputs[name])
        if rule is not None:
            yield name, rule
