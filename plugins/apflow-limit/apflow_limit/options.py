"""What a task may say about its limit."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import Attribute, field, frozen

RATE = re.compile(r"\s*(?P<amount>[1-9]\d{0,5})\s*(/|per\s)\s*([1-9]\d{0,5})?\s*(second|minute|hour|day)s?\s*", re.IGNORECASE)
MOST_TOKENS = 100_000
"""Each is remembered for its time."""


def _counted(_: Any, attribute: Attribute[int | None], value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{attribute.name} must be a number from 1, and not {value}")


def _timed(_: Any, attribute: Attribute[str | None], value: str | None) -> None:
    if value is None:
        return
    rate = RATE.fullmatch(value)
    if rate is None or int(rate["amount"]) > MOST_TOKENS:
        rule = f"up to {MOST_TOKENS:,} in so many seconds, minutes, hours or days, as '10/second' or '5/10 seconds'"
        raise ValueError(f"{attribute.name} must be {rule}, and not {value!r}")


def _keyed(_: Any, attribute: Attribute[str], value: str) -> None:
    if value not in ("executor", "user") and not value.startswith("/"):
        rule = "'executor', 'user', or a JSON Pointer into the inputs, as '/url'"
        raise ValueError(f"{attribute.name} must be {rule}, and not {value!r}")


@frozen
class Options:
    """How many, and what becomes of those who are too many: `"policies": {"limit": {…}}`; one of the first two is needed.

    Args:
        concurrency: Attempts that run at once.
        rate: Attempts that begin within a time, whenever it is taken to start: `10/second`, `100/minute`, `5/10 seconds`.
        key: What has a limit of its own: each `executor`, each `user` (owner of tasks, whatever their executors), or each value
            that the inputs of the executor have at a JSON Pointer (of a URL each host).
        when_over: What becomes of an attempt over the limit: `wait` for its turn, or `fail` at once.
    """

    concurrency: int | None = field(default=None, validator=_counted)
    rate: str | None = field(default=None, validator=_timed)
    key: str = field(default="executor", validator=_keyed)
    when_over: Literal["wait", "fail"] = "wait"

    def __attrs_post_init__(self) -> None:
        if self.concurrency is None and self.rate is None:
            raise ValueError("must have a concurrency or a rate")
