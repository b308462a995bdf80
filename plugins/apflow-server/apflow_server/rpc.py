"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification), on `POST /tasks` and `POST /system`.

Beyond it, a request without `jsonrpc` is answered too, so that a line of a crontab needs no more than method and parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from apflow_hookspecs import ApflowError, Json
from apflow_hookspecs.errors import UnknownOperation
from apflow_server.answers import SAFE, json_response
from apflow_server.bodies import body_of
from apflow_server.calling import operate
from apflow_server.decoding import decoded
from apflow_server.errors import InvalidRequest, harmless, refusal, told

_SYSTEM = "system."


@frozen
class Asked:
    """One request.

    Args:
        method: Name of the operation.
        params: Of it.
        id: What the answer repeats.
        notification: Nobody wants an answer.
    """

    method: str
    params: Mapping[str, Json] | Sequence[Json]
    id: Json
    notification: bool


def rpc_routes() -> list[Route]:
    """The two paths: all operations but `system.*`, and these."""
    return [Route("/tasks", _answered, methods=["POST"]), Route("/system", _answered, methods=["POST"])]


async def _answered(request: Request) -> Response:
    body = decoded(await body_of(request), request.app.state.server.options)
    if isinstance(body, list):
        return await _batch(request, body)
    try:
        asked = read(body)
    except InvalidRequest as error:
        return refusal(error, id_of(body))
    try:
        result = await _result(request, asked)
    except ApflowError as error:
        return _silence() if asked.notification else refusal(error, asked.id)
    return _silence() if asked.notification else json_response(_success(asked, result))


async def _batch(request: Request, body: list[Json]) -> Response:
    most = request.app.state.server.options.max_batch
    if not 0 < len(body) <= most:
        raise InvalidRequest(f"a batch holds 1 to {most} requests (server.max_batch), and this one {len(body)}")
    answers = [answer for each in body if (answer := await _part(request, each)) is not None]
    return json_response(answers) if answers else _silence()


async def _part(request: Request, body: Json) -> dict[str, Json] | None:
    try:
        asked = read(body)
    except InvalidRequest as error:
        return told(error, id_of(body))
    try:
        result = await _result(request, asked)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - what goes wrong in one does not stop the others
        return None if asked.notification else told(harmless(error, asked.method), asked.id)
    return None if asked.notification else _success(asked, result)


async def _result(request: Request, asked: Asked) -> Json:
    wanted = "/system" if asked.method.startswith(_SYSTEM) else "/tasks"
    if request.scope["path"] != wanted:
        raise UnknownOperation(f"there is no operation {asked.method!r} here")
    return await operate(request, asked.method, asked.params)


def read(body: Json) -> Asked:
    """A request, read.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("a request is an object with a method")
    if body.get("jsonrpc", "2.0") != "2.0":
        raise InvalidRequest("jsonrpc has to be '2.0'")
    method, params = body.get("method"), body.get("params")
    if not isinstance(method, str):
        raise InvalidRequest("a request has a method, which is text")
    if not isinstance(params, dict | list | None):
        raise InvalidRequest("params are an object or an array")
    if "id" in body and not _is_id(body["id"]):
        raise InvalidRequest("an id is text, a number or null")
    return Asked(method, {} if params is None else params, body.get("id"), "jsonrpc" in body and "id" not in body)


def id_of(body: Any) -> Json:
    """The id of a request that cannot be read, as far as it has one."""
    found = body.get("id") if isinstance(body, dict) else None
    return found if _is_id(found) else None


def _is_id(value: Json) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and -(2**63) <= value < 2**64
    return isinstance(value, str | float | None)


def _success(asked: Asked, result: Json) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": asked.id, "result": result}


def _silence() -> Response:
    return Response(status_code=204, headers=SAFE)
