"""Redirects, hop by hop: each is a request of its own to the transport, and takes along no more than it may."""

from __future__ import annotations

import httpx

from apflow_guard.places import place_of
from apflow_guard.refusals import Refused

_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
"""Headers that go along to another origin."""
_OF_A_BODY = ("content-encoding", "content-language", "content-location", "content-type")
"""Headers that go with the body where a redirect turns a request into a GET (Fetch, 4.4); httpx drops the rest."""


async def followed(client: httpx.AsyncClient, request: httpx.Request, redirects: int) -> httpx.Response:
    """Send a request and follow so many redirects; with none the answer is returned that would redirect."""
    origin, left = _origin(request.url), False
    response = await _sent(client, request)
    for _ in range(redirects):
        if response.next_request is None:
            return response
        await response.aclose()
        left = left or _origin(response.next_request.url) != origin
        request = _hop(response.request, response.next_request, left=left)
        response = await _sent(client, request, left=left)
    if redirects and response.next_request is not None:
        await response.aclose()
        raise httpx.TooManyRedirects(f"{response.url.host}: there are more than {redirects} redirects", request=request)
    return response


async def _sent(client: httpx.AsyncClient, request: httpx.Request, *, left: bool = False) -> httpx.Response:
    # Elsewhere the client must not add the authentication that it has for all requests.
    auth = None if left else httpx.USE_CLIENT_DEFAULT
    try:
        return await client.send(request, stream=True, auth=auth, follow_redirects=False)
    except httpx.InvalidURL:  # the client reads a redirect's URL also where it does not follow
        raise Refused(place_of(request.url).host, "it redirects to a malformed URL") from None


def _hop(before: httpx.Request, after: httpx.Request, *, left: bool) -> httpx.Request:
    if before.url.scheme == "https" and after.url.scheme == "http":
        raise Refused(place_of(after.url).host, "a redirect must not lead from https to http")
    if after.method != before.method:
        for name in _OF_A_BODY:
            after.headers.pop(name, None)
    if not left:
        return after
    if after.headers.get("content-length", "0") != "0" or "transfer-encoding" in after.headers:
        raise Refused(place_of(after.url).host, "a redirect must not take a body along to another origin")
    headers = [(name, value) for name, value in after.headers.multi_items() if name in _HARMLESS]
    return httpx.Request(after.method, after.url, headers=headers, extensions=after.extensions)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
