"""The guard itself: what plugins use instead of plain httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from apflow_guard.options import MOST_PORT, GuardOptions
from apflow_guard.places import Place, place_of
from apflow_guard.refusals import Refused, TooLong
from apflow_guard.resolver import SystemResolver
from apflow_guard.table import special

if TYPE_CHECKING:
    import ssl

    import httpcore
    import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host name and a port to its addresses; raises OSError."""

_OWN = ("cert", "http1", "http2", "max_redirects", "mounts", "proxies", "proxy", "transport", "trust_env", "verify")
"""Options of `httpx.AsyncClient` that would lead around the guard, or are the operator's."""


@frozen(eq=False)
class Guard:
    """What keeps requests from where they must not go; one for an engine.

        guard = Guard(engine.section("guard", GuardOptions))
        async with guard.client() as client:
            response = await guard.send(client, client.build_request("GET", url))
            body = await response.aread()

    Args:
        options: What the operator decides.
        resolve: From a name and a port to addresses, in order; by default the system does it.
        network: What connects to a checked address; by default httpcore does it.
    """

    options: GuardOptions = field(factory=GuardOptions)
    resolve: Resolve = field(factory=SystemResolver, kw_only=True)
    network: httpcore.AsyncNetworkBackend | None = field(default=None, kw_only=True)

    def check_url(self, url: str | httpx.URL) -> None:
        """Check what can be told without the network: scheme, userinfo, port and the host's form.

        Raises:
            Refused: A request must not go there.
        """
        self._check_place(place_of(url))

    async def check(self, url: str | httpx.URL) -> tuple[str, ...]:
        """Check a URL and all addresses of its host; returns them.

        Raises:
            Refused: A request must not go there.
            TooLong: The name could not be resolved in time.
            OSError: The name cannot be resolved.
        """
        place = place_of(url)
        return await self.addresses(place.host, place.port)

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of a host, resolved once and all checked: to connect to them, in order, and to nothing else.

        Raises:
            Refused: One of them must not be connected to.
            TooLong: The name could not be resolved in time.
            OSError: The name cannot be resolved.
        """
        place = Place.of(host, port)
        self._check_place(place)
        if place.address is not None:
            return (place.host,)
        found = await self._resolved(place)
        if not self.options.opens_name(place):
            for address in found:
                self._check_address(place, address)
        return found

    def client(self, **options: Any) -> httpx.AsyncClient:
        """A client of httpx whose requests all go through the guard, with the defaults of `[guard]`.

        Args:
            options: Of `httpx.AsyncClient`, as `headers` and `auth`. Without `cookies` it keeps none that a server sets:
                its requests may be those of different tasks and owners.

        Raises:
            ValueError: An option would lead around the guard.
        """
        from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - a guard is made at every start

        import httpx  # noqa: PLC0415 - likewise

        if options.pop("follow_redirects", False):
            raise ValueError("follow_redirects: redirects are followed by guard.send(client, request, redirects=…)")
        if own := sorted(options.keys() & set(_OWN)):
            raise ValueError(f"{', '.join(own)}: the guard decides this itself")
        # Redirects that httpx follows would take the caller's headers along, and share no time.
        own_way = {"transport": self.transport(), "trust_env": False, "max_redirects": 0}
        if options.get("cookies") is None:
            options["cookies"] = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return httpx.AsyncClient(**{"timeout": None, **options, **own_way})

    def transport(self) -> httpx.AsyncBaseTransport:
        """The guarded transport by itself, for a client of one's own."""
        from apflow_guard.transport import GuardedTransport  # noqa: PLC0415 - loads httpcore

        return GuardedTransport(self)

    async def send(
        self,
        client: httpx.AsyncClient,
        request: httpx.Request,
        *,
        redirects: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109 - of all hops and of the body, which is read later
        max_bytes: int | None = None,
    ) -> httpx.Response:
        """Send a request and follow its redirects; returns the response with its body unread, to be closed by the caller.

        Args:
            client: From `client`.
            request: As `client.build_request` makes it.
            redirects: How many to follow; with 0 the answer is returned that would redirect.
            timeout: Seconds for all hops and the body; by default as configured.
            max_bytes: Of the decoded body; by default as configured.

        Raises:
            Refused: It, or a redirect, must not go there.
            TooLong: It took longer than it may; also while the body is read.
            TooMuch: The body is larger than it may be; also while it is read.
            httpx.HTTPError: What else goes wrong.
        """
        from apflow_guard.bounds import Bounds  # noqa: PLC0415 - with the transport
        from apflow_guard.redirects import followed  # noqa: PLC0415 - loads httpx

        if redirects > self.options.max_redirects:
            rule = f"{redirects} redirects are more than guard.max_redirects = {self.options.max_redirects}"
            raise Refused(place_of(request.url).host, rule)
        bounds = Bounds.starting(self.options, timeout, max_bytes)
        request.extensions = {**request.extensions, "guard": bounds}
        return await followed(client, request, redirects)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What checks certificates; the environment has no say in it."""
        import ssl  # noqa: PLC0415 - a guard is made at every start

        import httpx  # noqa: PLC0415 - likewise

        if self.options.ca_file is None:
            return httpx.create_ssl_context(trust_env=False)
        return ssl.create_default_context(cafile=self.options.ca_file)

    @cached_property
    def lax_tls(self) -> ssl.SSLContext:
        """What checks none, for the hosts that the operator named."""
        import httpx  # noqa: PLC0415 - a guard is made at every start

        return httpx.create_ssl_context(verify=False, trust_env=False)

    def _check_place(self, place: Place) -> None:
        if place.address is not None:
            self._check_address(place, place.host)
        elif not (place.port in self.options.ports or self.options.opens_name(place) or self.options.opens_port(place.port)):
            raise self._port_refused(place)

    def _check_address(self, place: Place, text: str) -> None:
        address = ip_address(text)
        if self.options.opens_address(address, place.port):
            return
        if place.port not in self.options.ports:
            raise self._port_refused(place)
        if what := special(address):
            rule = f"it {'resolves to' if place.address is None else 'is'} {what}"
            raise Refused(place.host, rule, str(place))

    def _port_refused(self, place: Place) -> Refused:
        ports = ", ".join(map(str, self.options.ports)) or "none"
        allow = f"{place}:{place.port}" if 0 < place.port <= MOST_PORT else None
        return Refused(place.host, f"port {place.port} is none of guard.ports ({ports})", allow)

    async def _resolved(self, place: Place) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self.options.timeout):
                found = await self.resolve(place.host, place.port)
        except TimeoutError:
            raise TooLong(place.host, self.options.timeout) from None
        except OSError as error:
            raise OSError(f"{place}: the name cannot be resolved: {error.strerror or error}") from error
        if not found:
            raise OSError(f"{place}: the name has no address")
        return tuple(dict.fromkeys(found))
