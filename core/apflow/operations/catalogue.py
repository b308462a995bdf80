"""The catalogue: every operation, declared once, that any front end can call.

Calling checks the caller's scope and structures the parameters; what a caller may see is checked by the operation itself,
through `apflow.operations.access`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import frozen

from apflow.operations import parameters
from apflow_hookspecs import ApflowError, Caller, Json
from apflow_hookspecs.errors import ConfigError, PermissionDenied, StorageUnavailable, Unexpected, UnknownOperation

if TYPE_CHECKING:
    from apflow.engine import Engine

log = logging.getLogger("apflow.operations")

Scope = Literal["read", "submit", "cancel", "admin"]
P = TypeVar("P")
Params = Mapping[str, Json] | Sequence[Json]


@frozen
class NoParams:
    """No parameters."""


@frozen
class Operation:
    """One thing that a front end can ask for.

    Args:
        name: `tasks.get`.
        summary: One line.
        run: What does it; its parameters are structured and the caller's scope is checked.
        scope: What the caller needs; `admin` includes all others.
        params: attrs class of the parameters.
        result: Type of the JSON that it returns.
        errors: What it refuses, beside `InvalidParams` and `PermissionDenied`.
        arrange: Brings other forms of the parameters into the named one, before they are structured.
    """

    name: str
    summary: str
    run: Callable[[Engine, Caller, Any], Awaitable[Any]]
    scope: Scope
    params: type = NoParams
    result: Any = dict
    errors: tuple[type[ApflowError], ...] = ()
    arrange: Callable[[Params], Params] | None = None

    def structured(self, params: Params) -> Any:
        """Parameters as an instance of the operation's class.

        Raises:
            InvalidParams: They do not fit; the problems name each parameter, the value and the rule.
        """
        return parameters.structure(self.params, params if self.arrange is None else self.arrange(params))

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the named parameters."""
        return parameters.schema(self.params)

    def result_schema(self) -> dict[str, Any]:
        """The JSON Schema of the result."""
        return parameters.result_schema(self.result)


def operation(
    name: str,
    *,
    scope: Scope,
    params: type[P],
    result: Any,
    errors: tuple[type[ApflowError], ...] = (),
    arrange: Callable[[Params], Params] | None = None,
) -> Callable[[Callable[[Engine, Caller, P], Awaitable[Any]]], Operation]:
    """Declare an operation by the function that does it; the first line of its docstring is the summary."""

    def declare(run: Callable[[Engine, Caller, P], Awaitable[Any]]) -> Operation:
        summary = (inspect.getdoc(run) or "").partition("\n")[0]
        return Operation(name, summary, run, scope, params, result, errors, arrange)

    return declare


class Catalogue(Mapping[str, Operation]):
    """Operations by name."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = {operation.name: operation for operation in operations}

    def __getitem__(self, name: str) -> Operation:
        return self._operations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)

    async def call(self, engine: Engine, name: str, params: Params, caller: Caller) -> Json:
        """Run an operation and return its result as JSON.

        Args:
            engine: On which it runs.
            name: Of the operation.
            params: Named (an object) or positional (an array, in the order of the class's fields).
            caller: On whose behalf.

        Raises:
            UnknownOperation: There is no operation of this name.
            PermissionDenied: The caller lacks the operation's scope.
            InvalidParams: The parameters do not fit.
            ApflowError: What the operation refuses.
            Unexpected: Something else went wrong; the log has it, under the incident that the message names.
        """
        operation = self._operations.get(name)
        if operation is None:
            raise UnknownOperation(f"there is no operation {name!r}{parameters.nearest(name, list(self._operations))}")
        if not caller.scopes & {operation.scope, "admin"}:
            raise PermissionDenied(f"{name} needs the scope {operation.scope!r}, and the caller has {_listed(caller.scopes)}")
        try:
            return await operation.run(engine, caller, operation.structured(params))
        except ApflowError as error:
            if caller.origin == "local" or not _tells_of_the_inside(error):
                raise
            cause: Exception = error
        except Exception as error:  # noqa: BLE001 - any fault of ours or of a plugin's; the caller gets to know that it happened
            cause = error
        raise _incident(name, cause) from None


def _tells_of_the_inside(error: ApflowError) -> bool:
    """Whether its message is for those who run apflow: it may name files."""
    return isinstance(error, StorageUnavailable | ConfigError) or type(error) is ApflowError


def _incident(operation: str, cause: Exception) -> ApflowError:
    incident = token_hex(4)
    about = {"operation": operation, "incident": incident}
    log.error("operation %s failed, incident %s", operation, incident, exc_info=cause, extra=about)
    if isinstance(cause, StorageUnavailable):
        return StorageUnavailable(f"the storage cannot be used; the log tells why, under incident {incident}")
    return Unexpected(f"{operation} failed unexpectedly; the log tells why, under incident {incident}", incident=incident)


def _listed(scopes: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(scopes))) or "none"
