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
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise ConfigError(f"host = {address[0]!r}, port = {address[1]}: {error.strerror or error}") from None
    return made
