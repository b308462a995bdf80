"""What a task may say about its cache, and what the operator says."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen

DAY = 86_400.0
LONGEST = 3653 * DAY
"""Ten years, in seconds."""


def _lasting(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0 < value <= LONGEST:
        raise ValueError(f"{attribute.name} must be a number of seconds above 0, up to ten years, and not {value:g}")


def _counting(_: Any, attribute: Attribute[int], value: int) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} must be a number of bytes, not below 0, and not {value}")


@frozen
class Options:
    """How the result of a task is reused: `"policies": {"cache": {…}}`.

    Args:
        ttl: Seconds for which a result is reused; one that is older is not taken, whatever its writer allowed.
        scope: `user`: of tasks of the same owner, no owner being one, too; `all`: of anybody's.
        version: Part of what makes tasks equal; another one leaves the earlier results behind.
        refresh: Whether the executor runs in any case, and its result replaces the one that is kept.
    """

    ttl: float = field(default=DAY, validator=_lasting)
    scope: Literal["user", "all"] = "user"
    version: str = ""
    refresh: bool = False


@frozen
class Bounds:
    """The section `[cache]` of the configuration.

    Args:
        max_result_bytes: Results that take more, as JSON, are not kept.
    """

    max_result_bytes: int = field(default=256 * 1024, validator=_counting)
