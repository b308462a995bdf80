"""What front ends can ask of an engine: operations, each declared once.

The host has its own, `tasks.*` and `system.*`; a plugin adds others, which every front end then offers, the command line, HTTP
and agent protocols alike:

    @frozen
    class Count:
        to: int


    @operation("counter.count", scope="read", params=Count, result=list[int])
    async def count(engine: Engine, caller: Caller, params: Count) -> list[int]:
        "Count to a number."
        return list(range(params.to))


    @hookimpl
    def apflow_operations():
        yield count
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from apflow_hookspecs.engine import Caller
from apflow_hookspecs.errors import ApflowError
from apflow_hookspecs.task import Json

Scope = Literal["read", "submit", "cancel", "admin"]
Params = Mapping[str, Json] | Sequence[Json]


@frozen
class NoParams:
    """No parameters."""


@frozen
class Operation:
    """One thing that a front end can ask for.

    Args:
        name: `tasks.get`: a name space, a dot, a verb.
        summary: One line.
        run: Called with the engine, the caller and the parameters; these are structured, and the caller has the scope.
        scope: What the caller needs; `admin` includes all others.
        params: attrs class of the parameters; positional ones are in the order of its fields.
        result: Type of the JSON that it returns.
        errors: What it refuses, beside `InvalidParams` and `PermissionDenied`.
        arrange: Brings other forms of the parameters into the named one, before they are structured.
    """

    name: str
    summary: str
    run: Callable[[Any, Caller, Any], Awaitable[Any]]
    scope: Scope
    params: type = NoParams
    result: Any = dict
    errors: tuple[type[ApflowError], ...] = ()
    arrange: Callable[[Params], Params] | None = None


def operation(
    name: str,
    *,
    scope: Scope,
    params: type = NoParams,
    result: Any = dict,
    errors: tuple[type[ApflowError], ...] = (),
    arrange: Callable[[Params], Params] | None = None,
) -> Callable[[Callable[[Any, Caller, Any], Awaitable[Any]]], Operation]:
    """Declare an operation by the function that does it; the first line of its docstring is the summary.

    The arguments are the fields of `Operation`.
    """

    def declare(run: Callable[[Any, Caller, Any], Awaitable[Any]]) -> Operation:
        summary = (inspect.getdoc(run) or "").partition("\n")[0]
        return Operation(name, summary, run, scope, params, result, errors, arrange)

    return declare
