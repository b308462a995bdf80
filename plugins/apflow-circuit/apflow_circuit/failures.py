"""What counts as a failure of that which a circuit guards."""

from __future__ import annotations

from collections.abc import Iterator

from apflow_circuit.options import Options
from apflow_hookspecs import Lost, Retry, TaskFailed

HARMLESS = frozenset({"bad_input", "cancelled", "denied", "rate_limited"})
"""Error codes that say nothing about it: it was not asked, or not for long enough."""


def is_failure(error: BaseException | None, options: Options) -> bool:
    """Whether an attempt that ended so counts: what was cancelled or lost does not, a `Retry` does as its cause."""
    if isinstance(error, Retry):
        return is_failure(error.__cause__, options)
    if not isinstance(error, Exception) or isinstance(error, Lost):
        return False
    names = set(_names(error))
    return HARMLESS.isdisjoint(names) if options.on is None else not names.isdisjoint(options.on)


def _names(error: Exception) -> Iterator[str]:
    yield error.error if isinstance(error, TaskFailed) else "failed"
    yield from (kind.__name__ for kind in type(error).__mro__)
