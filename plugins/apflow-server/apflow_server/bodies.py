"""The body of a request, read no further than it may be long, and no longer than it may take."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from apflow_hookspecs.errors import TooLarge
from apflow_server.errors import SlowBody, WrongMediaType
from apflow_server.options import Options


async def body_of(request: Request) -> bytes:
    """The whole body.

    Raises:
        TooLarge: It is longer than `max_body`.
        SlowBody: It did not arrive within `body_timeout`.
        WrongMediaType: It is compressed; or a browser sent it, and not as JSON.
    """
    options: Options = request.app.state.server.options
    _check_type(request)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > options.max_body:
        raise _too_large(options)
    try:
        async with asyncio.timeout(options.body_timeout):
            return await _read(request, options)
    except TimeoutError:
        raise SlowBody(f"the body did not arrive within {options.body_timeout:g} s (server.body_timeout)") from None


async def _read(request: Request, options: Options) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > options.max_body:
            raise _too_large(options)
        parts.append(part)
    return b"".join(parts)


def _check_type(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise WrongMediaType("the body is compressed, and is taken as it is only")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and _from_browser(request):
        raise WrongMediaType("a browser has to send the body as application/json")


def _from_browser(request: Request) -> bool:
    """Whether a page in a browser makes the request."""
    return "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none"


def _too_large(options: Options) -> TooLarge:
    return TooLarge(f"the body is longer than {options.max_body} bytes (server.max_body)")
