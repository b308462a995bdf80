"""Who did what, and who was kept from it: one record each, to the logger `apflow.audit`.

A record has the fields `user`, `operation` (or a method and a path), `ids`, `decision`, `code` and `address`; of parameters it
tells ids only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import fields
from starlette.requests import HTTPConnection

from apflow_hookspecs import ApflowError, Json, Operation
from apflow_hookspecs.errors import PermissionDenied, RateLimited

log = logging.getLogger("apflow.audit")

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MOST_IDS = 20
_PATH = 200
"""Characters of a path that are told."""


def denied(request: HTTPConnection, error: ApflowError, operation: str | None = None, ids: Sequence[str] = ()) -> None:
    """Tell that something was not allowed."""
    what = operation or f"{request.scope.get('method', 'WEBSOCKET')} {request.scope['path'][:_PATH]}"
    _record(logging.WARNING, request, what, ids, "denied", error.code)


def ended(request: HTTPConnection, operation: Operation, ids: Sequence[str], error: ApflowError | None) -> None:
    """Tell how an operation ended, where that is worth it: what is more than a look, and what was denied."""
    if isinstance(error, PermissionDenied | RateLimited):
        denied(request, error, operation.name, ids)
    elif operation.scope != "read":
        decision = "done" if error is None else "refused"
        _record(logging.INFO, request, operation.name, ids, decision, None if error is None else error.code)


def ids_of(operation: Operation, params: Mapping[str, Json] | Sequence[Json]) -> list[str]:
    """The ids of tasks among the parameters of an operation, the first 20."""
    if not isinstance(params, Mapping):
        params = dict(zip((field.name for field in fields(operation.params)), params, strict=False))
    return _ids(value for name, value in params.items() if name in ("id", "task_id", "task_ids"))


def ids_made(result: Json) -> list[str]:
    """The id of what an operation made: a task, a tree, or what stands under `tree`."""
    if not isinstance(result, dict):
        return []
    return _ids([result.get("id")]) or ids_made(result.get("tree"))


def _ids(values: Iterable[Json]) -> list[str]:
    return [text for text, _ in zip(_texts(values), range(_MOST_IDS), strict=False)]


def _texts(values: Iterable[Json]) -> Iterator[str]:
    for value in values:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and _ID.fullmatch(each):
                yield each


def _record(  # noqa: PLR0917 - as a record has them
    level: int, request: HTTPConnection, what: str, ids: Sequence[str], decision: str, code: int | None
) -> None:
    caller = request.scope.get("state", {}).get("caller")
    user = None if caller is None else caller.user_id
    address = request.client.host if request.client else None
    about = {
        "user": user, "operation": what, "ids": list(ids), "decision": decision, "code": code, "address": address,
    }  # fmt: skip
    who = "nobody known" if user is None else repr(user)
    log.log(level, "%s: %s, by %s from %s", what, decision, who, address, extra=about)
