"""Where the server listens, and whether it may."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

from apflow_hookspecs.errors import ConfigError

Address = tuple[socket.AddressFamily, Any]


def resolved(host: str, port: int) -> list[Address]:
    """The addresses that a name has on this machine.

    Raises:
        ConfigError: It has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host = {host!r}: has no address: {error}") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def is_loopback(addresses: Sequence[Address]) -> bool:
    """Whether only this machine can reach all of them."""
    return all(ip_address(address[0].partition("%")[0]).is_loopback for _, address in addresses)


def permitted(host: str, addresses: Sequence[Address], *, secured: bool, allowed: bool) -> bool:
    """Whether the server may listen there; False where it may only because the operator says so.

    Args:
        host: As the operator names it.
        addresses: Which these are.
        secured: Whether a credential is configured.
        allowed: Whether the operator lets anybody in.

    Raises:
        ConfigError: It may not.
    """
    if secured or is_loopback(addresses):
        return True
    if not allowed:
        advice = "configure one (apflow token create), bind to 127.0.0.1, or say --allow-unauthenticated-network"
        raise ConfigError(f"host = {host!r}: other machines could reach the server, and no credential is configured; {advice}")
    return False


def url_of(host: str, sockets: Sequence[socket.socket]) -> str:
    """Where a browser of this machine finds the server."""
    return f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"


def bound(addresses: Sequence[Address]) -> list[socket.socket]:
    """A socket on each address; where the port is 0, all get the one that was free.

    Raises:
        ConfigError: One of them cannot be had.
    """
    port = addresses[0][1][1]
    with ExitStack() as opened:
        sockets = []
        for family, address in addresses:
            sockets.append(opened.enter_context(_bound(family, (address[0], port, *address[2:]))))
            port = sockets[-1].getsockname()[1]
        opened.pop_all()
    return sockets


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    # The protocol is named, or asyncio leaves the delay of small writes on (tcp(7), TCP_NODELAY).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise ConfigError(f"host = {address[0]!r}, port = {address[1]}: {error.strerror or error}") from None
    return made
