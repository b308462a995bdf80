"""The catalogue: every operation, declared once, that any front end can call.

Calling checks the caller's scope and structures the parameters; what a caller may see is checked by the operation itself,
through `apflow.operations.access`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from secrets import token_hex
from typing import TYPE_CHECKING

from apflow.operations import parameters
from apflow_hookspecs import ApflowError, Caller, Json, Operation
from apflow_hookspecs.errors import (
    ConfigError,
    InvalidParams,
    PermissionDenied,
    StorageUnavailable,
    Unexpected,
    UnknownOperation,
)

if TYPE_CHECKING:
    from apflow.engine import Engine

log = logging.getLogger("apflow.operations")


def description(operation: Operation) -> dict[str, Json]:
    """An operation as front ends document it; see `Engine.describe`."""
    errors: list[type[ApflowError]] = [InvalidParams, PermissionDenied, *operation.errors]
    return {
        "name": operation.name,
        "summary": operation.summary,
        "scope": operation.scope,
        "params": parameters.schema(operation.params),
        "result": parameters.result_schema(operation.result),
        "errors": [{"code": error.code, "message": error().message} for error in errors],
    }


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

    def describe(self, name: str) -> dict[str, Json]:
        """An operation as front ends document it; see `Engine.describe`."""
        return description(self._known(name))

    async def call(self, engine: Engine, name: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:
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
        operation = self._known(name)
        if not caller.scopes & {operation.scope, "admin"}:
            raise PermissionDenied(f"{name} needs the scope {operation.scope!r}, and the caller has {_listed(caller.scopes)}")
        try:
            given = params if operation.arrange is None else operation.arrange(params)
            return await operation.run(engine, caller, parameters.structure(operation.params, given))
        except ApflowError as error:
            if caller.origin == "local" or not _tells_of_the_inside(error):
                raise
            cause: Exception = error
        except Exception as error:  # noqa: BLE001 - any fault of ours or of a plugin's; the caller gets to know that it happened
            cause = error
        raise _incident(name, cause) from None

    def _known(self, name: str) -> Operation:
        operation = self._operations.get(name)
        if operation is None:
            raise UnknownOperation(f"there is no operation {name!r}{parameters.nearest(name, list(self._operations))}")
        return operation


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
