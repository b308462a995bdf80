"""Connecting: the one place through which every byte that leaves has to go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore
from attrs import frozen

from apflow_guard.refusals import Refused

if TYPE_CHECKING:
    from apflow_guard.guard import Guard

_PATIENCE = 5.0
"""Seconds for an address when there is another one to try."""


@frozen(eq=False)
class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects a pool: a name is resolved once, all its addresses are checked, and one of those is connected to.

    So no redirect or retry can lead elsewhere, and a name that resolves to something else a moment later
    (DNS rebinding) does not matter. `Host` and the name in TLS remain those of the URL.
    """

    _guard: Guard
    _network: httpcore.AsyncNetworkBackend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers."""
        try:
            *others, last = await self._guard.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        patience = _PATIENCE if timeout is None else min(_PATIENCE, timeout)
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - httpcore's
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - likewise
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - likewise
    ) -> httpcore.AsyncNetworkStream:
        """Refuse it."""
        raise Refused(None, "a request must not go to a Unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait as the network waits."""
        await self._network.sleep(seconds)
