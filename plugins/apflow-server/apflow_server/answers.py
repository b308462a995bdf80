"""Answers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from starlette.responses import Response

from apflow_hookspecs import Json

SAFE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer."""

CAREFUL = {
    **SAFE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Headers that an answer has unless it says otherwise."""

_CAREFUL = [(name.lower().encode(), value.encode()) for name, value in CAREFUL.items()]
_encode = msgspec.json.Encoder().encode


def json_response(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as an answer, which nobody keeps and no browser takes for something else."""
    return Response(_encode(value), status, {**SAFE, **(headers or {})}, "application/json")


def careful(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with those of `CAREFUL` that it lacks."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return own + [header for header in _CAREFUL if header[0] not in names]
