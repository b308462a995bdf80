"""The transport of httpx whose requests are checked, whose connections are guarded and whose answers are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpcore
import httpx
from attrs import field, frozen

from apflow_guard.body import Body
from apflow_guard.bounds import Bounds
from apflow_guard.decoding import ACCEPTED, Decoder, known
from apflow_guard.failures import as_httpx
from apflow_guard.network import GuardedNetwork
from apflow_guard.places import Place, place_of
from apflow_guard.refusals import Refused, TooMuch

if TYPE_CHECKING:
    from apflow_guard.guard import Guard

_BODILESS = frozenset({204, 304})


@frozen(eq=False)
class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks each request, also each hop of a redirect; the extension `guard` of a request holds its `Bounds`."""

    _guard: Guard
    _pools: dict[bool, httpcore.AsyncConnectionPool] = field(factory=dict, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of its answer is yet to be read."""
        self._guard.check_url(request.url)
        place = place_of(request.url)
        _check_head(request, place)
        bounds = request.extensions.get("guard") or Bounds.starting(self._guard.options)
        with as_httpx(request, place):
            async with bounds.held(place.host):
                answer = await self._pool(place).handle_async_request(_outgoing(request))
        try:
            return _incoming(request, answer, place, bounds)
        except BaseException:
            await answer.aclose()
            raise

    async def aclose(self) -> None:
        """Close all connections, which serve one request each."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, place: Place) -> httpcore.AsyncConnectionPool:
        verified = place.host not in self._guard.options.unverified_hosts
        if verified not in self._pools:
            self._pools[verified] = httpcore.AsyncConnectionPool(
                ssl_context=self._guard.tls if verified else self._guard.lax_tls,
                max_connections=100,
                # What a server sends unasked would be read as the answer to the next request, of another task maybe.
                max_keepalive_connections=0,
                network_backend=GuardedNetwork(self._guard, self._guard.network or httpcore.AnyIOBackend()),
            )
        return self._pools[verified]


def _check_head(request: httpx.Request, place: Place) -> None:
    if request.method == "CONNECT":
        raise Refused(place.host, "a request must not open a tunnel (CONNECT)")
    if request.headers.get("host") != request.url.netloc.decode("ascii"):
        raise Refused(place.host, "the header Host must be that of the URL")


def _outgoing(request: httpx.Request) -> httpcore.Request:
    headers = request.headers.copy()
    if headers.get("accept-encoding") != "identity":
        headers["Accept-Encoding"] = ACCEPTED
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=headers.raw,
        content=request.stream,
        # Others could name another target, or another host for TLS.
        extensions={"timeout": request.extensions.get("timeout", {})},
    )


def _incoming(request: httpx.Request, answer: httpcore.Response, place: Place, bounds: Bounds) -> httpx.Response:
    headers = httpx.Headers(answer.headers)
    decoder = None
    if request.method != "HEAD" and answer.status not in _BODILESS:
        if int(headers.get("content-length", 0)) > bounds.max_bytes:
            raise TooMuch(place.host, bounds.max_bytes)
        decoder = _decoder(headers, place)
    return httpx.Response(
        answer.status,
        headers=headers,
        stream=Body(request, answer, place, bounds, decoder),
        extensions={name: answer.extensions[name] for name in ("http_version", "reason_phrase") if name in answer.extensions},
    )


def _decoder(headers: httpx.Headers, place: Place) -> Decoder | None:
    """What decodes a body with these headers, which from then on are those of the decoded one."""
    encodings = [name for name in headers.get_list("content-encoding", split_commas=True) if name.lower() != "identity"]
    if not encodings:
        return None
    if len(encodings) > 1 or not known(encodings[0].lower()):
        raise Refused(place.host, f"the answer may be encoded in one of {ACCEPTED}, once")
    for name in ("content-encoding", "content-length"):
        headers.pop(name, None)
    return Decoder(encodings[0].lower())
