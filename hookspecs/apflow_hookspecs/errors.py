"""What can go wrong, as one small tree of exceptions.

Every error has a `code`, which front ends hand to machines, and `problems`, which tell people what to change. The first
sentence of an exception's docstring is its message where no other is given. The codes below -32000 are JSON-RPC 2.0's
(https://www.jsonrpc.org/specification#error_object); those from -32001 are apflow's own.
"""

from __future__ import annotations

import reprlib
from typing import Any, ClassVar, Literal

from attrs import frozen

SEVERITIES = ("error", "warning")


@frozen
class Problem:
    """One thing that is wrong with a task or a tree, in words that name the task, the field, the value and the rule.

    A validator yields any number of them:

        yield Problem("must not shout", task=task.key, field="inputs.name", value=name)

    Args:
        rule: The rule that was broken, as the end of a sentence.
        task: The task's key as its author wrote it, or its place in the array; None for the tree as a whole.
        field: The field, with dots into objects: `inputs.url`.
        value: What stands there; shown shortened.
        code: Of the error that is raised when this is the only kind of problem.
        severity: A warning is reported and refuses nothing.

    Raises:
        ValueError: The severity is another.
    """

    rule: str
    task: str | None = None
    field: str | None = None
    value: Any = None
    code: int = -32005
    severity: Literal["error", "warning"] = "error"

    def __attrs_post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity = {shortened(self.severity)}: must be one of {', '.join(map(repr, SEVERITIES))}")

    def as_json(self) -> dict[str, Any]:
        """As front ends show it; the value may be anything, so it is shown as shortened text."""
        return {
            "message": str(self),
            "task": self.task,
            "field": self.field,
            "value": None if self.field is None else shortened(self.value),
            "rule": self.rule,
            "code": self.code,
        }

    def __str__(self) -> str:
        """The problem in one line: task, field and value, then the rule."""
        where = [f"task {self.task!r}"] if self.task is not None else []
        if self.field is not None:
            where.append(f"{self.field} = {shortened(self.value)}")
        return f"{', '.join(where)}: {self.rule}" if where else self.rule


def shortened(value: Any) -> str:
    """How a value stands in a message: its repr in one line, cut to about 100 characters, however large the value is."""
    return _SHORT.repr(value)


_SHOWN_BITS = 256


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = 100

    def repr_int(self, x: int, level: int) -> str:
        # The repr of a huge integer is refused by Python itself.
        return super().repr_int(x, level) if x.bit_length() <= _SHOWN_BITS else f"an integer of {x.bit_length()} bits"


_SHORT = _Short()


class ApflowError(Exception):
    """Something went wrong inside apflow."""

    code: ClassVar[int] = -32603

    def __init__(self, message: str | None = None, *, problems: tuple[Problem, ...] = ()) -> None:
        self.message = message or (str(problems[0]) if problems else _first_sentence(type(self)))
        self.problems = problems
        super().__init__(self.message)

    def as_json(self) -> dict[str, Any]:
        """As JSON-RPC has errors: `code`, `message`, and `data` with the class's name as `type` and the `problems`, if any."""
        data: dict[str, Any] = {"type": type(self).__name__}
        if self.problems:
            data["problems"] = [problem.as_json() for problem in self.problems]
        for name in ("incident", "retry_after"):
            if getattr(self, name, None) is not None:
                data[name] = getattr(self, name)
        return {"code": self.code, "message": self.message, "data": data}


def _first_sentence(error: type[ApflowError]) -> str:
    paragraph = (error.__doc__ or error.__name__).strip().partition("\n\n")[0]
    sentence, stop, _ = " ".join(paragraph.split()).partition(". ")
    return sentence + stop.strip()


class Unexpected(ApflowError):
    """Something unexpected went wrong inside apflow.

    Args:
        message: For the caller; it tells nothing of the inside.
        incident: Under which the log tells the rest.
    """

    def __init__(self, message: str | None = None, *, incident: str | None = None) -> None:
        super().__init__(message)
        self.incident = incident


class UnknownOperation(ApflowError):
    """There is no such operation."""

    code = -32601


class InvalidParams(ApflowError):
    """The parameters of the operation do not fit."""

    code = -32602


class NotFound(ApflowError):
    """There is no such task."""

    code = -32001


class CircularDependency(ApflowError):
    """The tasks depend on each other in a circle."""

    code = -32002


class ExecutorNotFound(ApflowError):
    """No installed plugin provides this executor."""

    code = -32003


class PermissionDenied(ApflowError):
    """The caller may not do this."""

    code = -32004


class InvalidTask(ApflowError):
    """A task does not fit its fields' rules."""

    code = -32005


class InvalidTransition(ApflowError):
    """The task's status does not allow this."""

    code = -32006


class DependencyNotSatisfied(ApflowError):
    """What the task needs is not there."""

    code = -32007


class WrongAnswer(DependencyNotSatisfied):
    """The answer does not fit what the task asked."""


class AlreadyExecuting(ApflowError):
    """The tree is being executed already."""

    code = -32008


class CannotDelete(ApflowError):
    """The task cannot be deleted or changed in this state."""

    code = -32009


class InvalidParent(ApflowError):
    """A task's parent is not a task of the array."""

    code = -32010


class InvalidDependency(ApflowError):
    """A task's dependency is not a task of the array."""

    code = -32011


class InvalidTree(ApflowError):
    """The tasks do not make one tree."""

    code = -32012


class Overloaded(ApflowError):
    """Too much is open already; try again later."""

    code = -32013

    def __init__(self, message: str | None = None, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """Too many requests; try again later."""


class IdempotencyConflict(ApflowError):
    """This idempotency key was used for another request."""

    code = -32014


class StorageUnavailable(ApflowError):
    """The storage cannot be used."""

    code = -32015


class StorageBroken(StorageUnavailable):
    """The storage cannot be used until somebody has mended it: trying again is of no use."""


class StorageOwned(StorageUnavailable):
    """Another process owns the storage.

    Args:
        pid: Of that process, where it is known.
        endpoint: Path of the Unix socket on which it serves the operations; None where it has none.
    """

    def __init__(self, message: str | None = None, *, pid: int | None = None, endpoint: str | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.endpoint = endpoint


class TooLarge(ApflowError):
    """The request is too large."""

    code = -32016


class ConfigError(ApflowError):
    """The configuration or the plugins do not fit together."""


class PluginConflict(ConfigError):
    """Two plugins provide the same thing."""


class TaskFailed(ApflowError):
    """The attempt failed.

    Executors and policies raise it to fail a task with a code of their choice; any other exception fails it with `failed`.

    Args:
        message: Told to the user as it is.
        error: One of `failed`, `timeout`, `bad_input`, `denied`, `circuit_open`, `rate_limited`, `deadline` … (tasks, "error").
        details: A JSON object for machines.
        retry_after: Seconds after which another attempt may do better; policies read it.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        error: str = "failed",
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.details = details
        self.retry_after = retry_after


BY_CODE: dict[int, type[ApflowError]] = {
    error.code: error
    for error in (
        AlreadyExecuting, CannotDelete, CircularDependency, DependencyNotSatisfied, ExecutorNotFound, IdempotencyConflict,
        InvalidDependency, InvalidParams, InvalidParent, InvalidTask, InvalidTransition, InvalidTree, NotFound, Overloaded,
        PermissionDenied, StorageUnavailable, TooLarge,
    )
}  # fmt: skip
"""The class for each code; one that is missing is an `ApflowError`."""
