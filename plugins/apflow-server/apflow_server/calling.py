"""One operation of a request: admitted, run, and told to the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from apflow_hookspecs import Caller, Json
from apflow_server.state import Serving


async def operate(request: Request, name: str, params: Mapping[str, Json] | Sequence[Json]) -> Json:
    """Run an operation on behalf of who makes the request.

    Raises:
        ApflowError: What it refuses, or who guards it.
    """
    serving: Serving = request.app.state.server
    caller: Caller = request.state.caller
    await serving.admit(request, caller, name)
    return await serving.engine.call(name, params, caller)
