"""Instants, as authors write them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from apflow_hookspecs import MAX_INSTANT, as_instant

TEN_YEARS = 3653 * 86_400
"""Seconds that a task may be told to wait for at most."""


def later(moment: float | str) -> int:
    """An instant from seconds, counted from now, or from RFC 3339 text.

    Raises:
        ValueError: It is neither; the message is the rule.
    """
    rule = rule_against(moment)
    if rule is not None:
        raise ValueError(rule)
    return _parsed(moment) if isinstance(moment, str) else time.time_ns() // 1000 + round(moment * 1_000_000)


def rule_against(moment: Any) -> str | None:
    """The rule that a moment breaks; None where it breaks none, or is neither text nor a number."""
    if isinstance(moment, str):
        try:
            _parsed(moment)
        except ValueError:
            return "must be an instant with its zone, as in 2031-05-06T12:00:00Z"
    elif isinstance(moment, int | float) and not 0 <= moment <= TEN_YEARS:
        return "must be a number of seconds from 0 to ten years"
    return None


def _parsed(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return min(max(0, as_instant(moment)), MAX_INSTANT)
