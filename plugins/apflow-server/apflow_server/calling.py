"""One operation of a request: admitted, run, and told to the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from apflow_hookspecs import ApflowError, Json
from apflow_server import audit
from apflow_server.attending import attended
from apflow_server.state import Serving


async def operate(request: Request, name: str, params: Mapping[str, Json] | Sequence[Json]) -> Json:
    """Run an operation on behalf of who makes the request, whose body has been read.

    Raises:
        ApflowError: What it refuses, or who guards it.
        ClientDisconnect: Nobody waits for the answer any more.
    """
    serving: Serving = request.app.state.server
    known = serving.engine.operations.get(name)
    try:
        with attended(request):
            await serving.admit(request, request.state.caller, name)
            result = await serving.engine.call(name, params, request.state.caller)
    except ApflowError as error:
        if known is not None:
            audit.ended(request, known, audit.ids_of(known, params), error)
        raise
    if known is not None and known.scope != "read":
        audit.ended(request, known, audit.ids_of(known, params) or audit.ids_made(result), None)
    return result
