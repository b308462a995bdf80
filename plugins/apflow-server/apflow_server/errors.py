"""Refusals over HTTP: which status an error has, and how it is told."""

from __future__ import annotations

import logging
from math import ceil
from secrets import token_hex
from typing import ClassVar

from starlette.responses import Response

from apflow_hookspecs import ApflowError, Json
from apflow_hookspecs.errors import ConfigError, Overloaded, PermissionDenied, RateLimited, StorageUnavailable, Unexpected
from apflow_server.answers import json_response

log = logging.getLogger("apflow.server")

_STATUSES = {
    -32700: 400, -32600: 400, -32601: 404, -32602: 400, -32603: 500,
    -32001: 404, -32002: 400, -32003: 400, -32004: 403, -32005: 400, -32006: 409, -32007: 409, -32008: 409, -32009: 409,
    -32010: 400, -32011: 400, -32012: 400, -32013: 503, -32014: 409, -32015: 503, -32016: 413,
}  # fmt: skip


class NotJson(ApflowError):
    """The body is not JSON."""

    code = -32700


class InvalidRequest(ApflowError):
    """This is not a request that the server knows."""

    code = -32600
    status: ClassVar[int] = 400


class NoSuchPath(InvalidRequest):
    """There is nothing at this path."""

    code = -32601
    status = 404


class WrongMethod(InvalidRequest):
    """This path does not take this method."""

    status = 405


class SlowBody(InvalidRequest):
    """The body took too long to arrive."""

    status = 408


class WrongMediaType(InvalidRequest):
    """The body has a type or an encoding that is not taken."""

    status = 415


class WrongHost(InvalidRequest):
    """The server is not known by the name in the header Host (server.allowed_hosts)."""

    status = 421


class HeaderTooLarge(InvalidRequest):
    """The headers of the request are too large."""

    status = 431


class WrongOrigin(PermissionDenied):
    """A page of another site may not use the server (server.cors_origins)."""


class NoCredential(PermissionDenied):
    """This needs a valid credential."""

    status: ClassVar[int] = 401


def status_of(error: ApflowError) -> int:
    """The HTTP status that goes with an error."""
    if isinstance(error, RateLimited):
        return 429
    own: int | None = getattr(error, "status", None)
    return own or _STATUSES.get(error.code, 500)


def told(error: ApflowError, request_id: Json = None) -> dict[str, Json]:
    """An error as a JSON-RPC answer."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.as_json()}


def refusal(error: ApflowError, request_id: Json = None) -> Response:
    """An error as an answer: a JSON-RPC error object, with the right status and headers."""
    status, headers = status_of(error), {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after)))
    if isinstance(error, StorageUnavailable):
        headers["Retry-After"] = "5"
    if isinstance(error, NoCredential):
        headers["WWW-Authenticate"] = 'Bearer realm="apflow"'
    if isinstance(error, SlowBody | HeaderTooLarge):
        headers["Connection"] = "close"
    return json_response(told(error, request_id), status, headers)


def harmless(error: BaseException, where: str) -> ApflowError:
    """An error as a client may see it: what tells of the inside goes to the log, under an incident."""
    inside = isinstance(error, StorageUnavailable | ConfigError) or type(error) is ApflowError
    if isinstance(error, ApflowError) and not inside:
        return error
    incident = token_hex(4)
    log.error("%s failed, incident %s", where, incident, exc_info=error, extra={"incident": incident})
    if isinstance(error, StorageUnavailable):
        return StorageUnavailable(f"the storage cannot be used; the log tells why, under incident {incident}")
    return Unexpected(f"something failed unexpectedly; the log tells why, under incident {incident}", incident=incident)
