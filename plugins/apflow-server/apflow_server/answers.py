"""Answers as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from apflow_hookspecs import Json

SAFE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer."""

_encode = msgspec.json.Encoder().encode


def json_response(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as an answer, which nobody keeps and no browser takes for something else."""
    return Response(_encode(value), status, {**SAFE, **(headers or {})}, "application/json")
