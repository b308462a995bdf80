"""What a task says under `policies.retry`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from attrs import Attribute, field, frozen

from apflow_hookspecs import Json

Backoff = Literal["fixed", "linear", "exponential"]
Jitter = Literal["full", "equal", "none"]

LONGEST = 3653 * 86_400.0
"""Seconds that a delay or a deadline may have at most: ten years."""
USUAL_MAX_DELAY = 60.0
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def _count(_: object, attribute: Attribute[int], value: object) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{attribute.name} must be an integer from 1")


def _seconds(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, int | float) and 0 <= value <= LONGEST):
        raise ValueError(f"{attribute.name} must be a number of seconds from 0 to ten years")


def _some_seconds(instance: object, attribute: Attribute[Any], value: object) -> None:
    _seconds(instance, attribute, value)
    if value == 0:
        raise ValueError(f"{attribute.name} must be more than 0 seconds")


def _not_empty(_: object, attribute: Attribute[Any], value: list[Json]) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must name a value at least")


def _one_of(choices: Any) -> Any:
    def check(_: object, attribute: Attribute[str], value: object) -> None:
        if value not in get_args(choices):
            raise ValueError(f"{attribute.name} must be one of {', '.join(map(repr, get_args(choices)))}")

    return check


def _names(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and (isinstance(value, str) or not all(isinstance(name, str) and name for name in value)):
        raise ValueError(f"{attribute.name} must be an array of error codes and exception names")


def _pointer(_: object, attribute: Attribute[str], value: str) -> None:
    if value and not value.startswith("/"):
        raise ValueError(f"{attribute.name} must be a JSON Pointer: empty for the whole result, or begin with /")


@frozen
class RetryIf:
    """A condition on a field of the result.

    Args:
        path: JSON Pointer (RFC 6901) into the result; empty is the whole of it.
        one_of: JSON values. A field that is not there is none of them.
    """

    path: str = field(validator=_pointer)
    one_of: list[Json] = field(validator=_not_empty)

    def holds(self, result: Json) -> bool:
        """Whether the field has one of the values; `true` is not 1."""
        try:
            value = part(result, self.path)
        except LookupError:
            return False
        return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in self.one_of)


def part(value: Json, path: str) -> Json:
    """What stands at a JSON Pointer.

    Raises:
        LookupError: Nothing does.
    """
    for token in path.split("/")[1:]:
        step = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value[step]
        elif isinstance(value, list) and _INDEX.fullmatch(step):
            value = value[int(step)]
        else:
            raise LookupError(path)
    return value


@frozen
class RetryOptions:
    """How often, when and after what an attempt is made again.

    Args:
        max_attempts: In all, the first included, from 1.
        backoff: How the delay grows: `fixed` stays, `linear` is n times, `exponential` 2^(n-1) times `delay` after attempt n.
        delay: Seconds, from 0.
        max_delay: Seconds that a delay is cut to; None is 60, or `delay` where that is longer.
        jitter: What is drawn of a delay d: `full` from 0 to d, `equal` from d/2 to d, `none` d.
        on: Error codes and names of exceptions; None is all that may be otherwise the next time.
        retry_if: Results that count as failures.
        deadline: Seconds from the start of the first attempt, over attempts, delays and waits; None is no end.
    """

    max_attempts: int = field(default=3, validator=_count)
    backoff: Backoff = field(default="exponential", validator=_one_of(Backoff))
    delay: float = field(default=1.0, validator=_seconds)
    max_delay: float | None = field(default=None, validator=_seconds)
    jitter: Jitter = field(default="full", validator=_one_of(Jitter))
    on: tuple[str, ...] | None = field(default=None, validator=_names)
    retry_if: RetryIf | None = None
    deadline: float | None = field(default=None, validator=_some_seconds)

    def __attrs_post_init__(self) -> None:
        if self.max_delay is not None and self.max_delay < self.delay:
            raise ValueError(f"max_delay must not be less than delay, which is {self.delay:g}")

    @property
    def longest_delay(self) -> float:
        """Seconds that a delay is cut to."""
        return max(USUAL_MAX_DELAY, self.delay) if self.max_delay is None else self.max_delay
