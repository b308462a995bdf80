"""What a task may say about its circuit."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen

MOST_FAILURES = 1000
LONGEST = 365 * 86_400.0
"""A year, in seconds."""


def _counted(_: Any, attribute: Attribute[int], value: int) -> None:
    if not 1 <= value <= MOST_FAILURES:
        raise ValueError(f"{attribute.name} must be a number from 1 to {MOST_FAILURES:,}, and not {value}")


def _lasting(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0 < value <= LONGEST:
        raise ValueError(f"{attribute.name} must be a number of seconds above 0, up to a year, and not {value:g}")


def _keyed(_: Any, attribute: Attribute[str | None], value: str | None) -> None:
    if value not in (None, "user") and not str(value).startswith("/"):
        raise ValueError(
            f"{attribute.name} must be null, 'user', or a JSON Pointer into the inputs, as '/url', and not {value!r}"
        )


@frozen
class Options:
    """When the circuit opens, and what becomes of tasks then: `"policies": {"circuit": {…}}`.

    Args:
        failures: So many, one after the other, open it.
        window: Seconds within which they have to come; older ones do not count.
        reset_after: Seconds for which it is open; then it is half open.
        probes: Tasks that may try at once while it is half open.
        key: What has a circuit of its own: null the executor, `user` each owner of tasks, a JSON Pointer each value that the
            executor's inputs have there (of a URL each host).
        on: Error codes and names of exceptions that count as failures; null is all but those of `failures.HARMLESS`.
        when_open: What becomes of a task that may not try: `fail` at once, or `wait` until it may.
    """

    failures: int = field(default=5, validator=_counted)
    window: float = field(default=60.0, validator=_lasting)
    reset_after: float = field(default=30.0, validator=_lasting)
    probes: int = field(default=1, validator=_counted)
    key: str | None = field(default=None, validator=_keyed)
    on: tuple[str, ...] | None = None
    when_open: Literal["fail", "wait"] = "fail"
