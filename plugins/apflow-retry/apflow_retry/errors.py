"""Which errors another attempt may mend."""

from __future__ import annotations

import json
from collections.abc import Iterator

from apflow_hookspecs import Json, Lost, Retry, TaskFailed
from apflow_retry.options import RetryIf, RetryOptions, part

LASTING = frozenset({"bad_input", "cancelled", "deadline", "denied", "executor_missing", "reference_missing"})
"""Codes of errors that would be the same the next time."""


class Unwanted(TaskFailed):
    """The result is one that `retry_if` names."""

    def __init__(self, condition: RetryIf, result: Json) -> None:
        value = part(result, condition.path)
        where = f"the result at {condition.path}" if condition.path else "the result"
        super().__init__(
            f"{where} is {json.dumps(value, ensure_ascii=False)}, which counts as a failure (retry_if)",
            details={"path": condition.path, "value": value},
        )


class Overdue(TaskFailed):
    """The deadline of all attempts is over."""


def is_mended(error: Exception, options: RetryOptions) -> bool:
    """Whether an error is one after which the options ask for another attempt.

    `Retry` and `Lost` never are: with them others have decided already.
    """
    if isinstance(error, Unwanted):
        return True
    if isinstance(error, Retry | Lost | Overdue):
        return False
    if options.on is None:
        return code_of(error) not in LASTING
    return not {code_of(error), *_class_names(error)}.isdisjoint(options.on)


def code_of(error: BaseException) -> str:
    """The code with which an error fails a task."""
    return error.error if isinstance(error, TaskFailed) else "failed"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from (`raise … from …`), down to the first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _class_names(error: BaseException) -> Iterator[str]:
    for each in causes(error):
        for cls in type(each).__mro__:
            yield cls.__name__
            yield f"{cls.__module__}.{cls.__qualname__}"
