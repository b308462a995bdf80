"""One request, and its answer."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Iterator
from socket import gaierror

import httpx

from apflow_guard import Guard
from apflow_hookspecs import Json, TaskFailed
from apflow_http.answers import content, described, origin, refusal
from apflow_http.options import Options
from apflow_http.saving import save
from apflow_http.wanted import Wanted


async def exchange(guard: Guard, client: httpx.AsyncClient, wanted: Wanted, options: Options) -> dict[str, Json]:
    """Send a request, and return the result of its task.

    Raises:
        TaskFailed: The guard refused it, the server could not be reached, its answer did not come whole, or was not expected.
    """
    guard.check_url(wanted.url)
    request = _request(client, wanted)
    max_bytes = None if wanted.save_to is None else options.max_file_bytes
    try:
        response = await guard.send(client, request, redirects=wanted.redirects, timeout=wanted.timeout, max_bytes=max_bytes)
        try:
            return await _result(response, wanted, options)
        finally:
            await response.aclose()
    except httpx.HTTPError as error:
        raise _failure(error, request) from error


def _request(client: httpx.AsyncClient, wanted: Wanted) -> httpx.Request:
    try:
        url = httpx.URL(wanted.url)
        if wanted.params:
            url = url.copy_merge_params(wanted.params)
        return client.build_request(wanted.method, url, headers=list(wanted.headers), content=wanted.body)
    except httpx.InvalidURL as error:
        raise TaskFailed(f"inputs.url: with its params it is no URL: {error}", error="bad_input") from error


async def _result(response: httpx.Response, wanted: Wanted, options: Options) -> dict[str, Json]:
    if not wanted.expects(response.status_code):
        raise await refusal(response)
    told = described(response, wanted.hidden)
    if wanted.save_to is not None and options.root is not None:
        return {**told, **await save(response, options.root, wanted.save_to)}
    await response.aread()
    return {**told, **content(response)}


def _failure(error: httpx.HTTPError, request: httpx.Request) -> TaskFailed:
    message = f"{request.method} {origin(request.url)} {_cause(error)}"
    code = "timeout" if isinstance(error, httpx.TimeoutException) else "failed"
    return TaskFailed(message, error=code, details={"exception": type(error).__name__})


def _cause(error: httpx.HTTPError) -> str:
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"failed: its certificate cannot be trusted: {each.verify_message}"
        if isinstance(each, ssl.SSLError):
            return f"failed: TLS could not be agreed on: {each.reason or 'the connection ended'}"
        if isinstance(each, gaierror):
            return "failed: its name cannot be resolved"
        if isinstance(each, OSError) and each.errno is not None and each.errno in errno.errorcode:
            return f"failed: {os.strerror(each.errno)}"
    return next((f"failed: {words}" for kind, words in _WORDS.items() if isinstance(error, kind)), "failed")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


_WORDS: dict[type[httpx.HTTPError], str] = {
    httpx.TimeoutException: "it took too long",
    httpx.ConnectError: "it cannot be reached",
    httpx.RemoteProtocolError: "its answer is not whole, or no HTTP",
    httpx.LocalProtocolError: "the request is no HTTP",
    httpx.DecodingError: "its answer cannot be decoded",
    httpx.TooManyRedirects: "it redirects more often than inputs.redirects says",
    httpx.NetworkError: "the connection was lost",
}
"""What went wrong, by the kind of exception; the first that fits."""
