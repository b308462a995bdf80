"""For whom a request counts."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from apflow_hookspecs import Caller
from apflow_ratelimit.options import Network

Address = IPv4Address | IPv6Address
HOUSEHOLD = 64
"""Leading bits of an IPv6 address that count: one customer of a provider has all the addresses behind them (RFC 6177)."""
_PORT = 1


def counted_for(caller: Caller | None, connection: HTTPConnection, proxies: Sequence[Network]) -> str:
    """The user, or where nobody has shown a credential the address, as a key."""
    if caller is not None and caller.user_id is not None:
        return f"user {caller.user_id}"
    return f"address {_address(connection, proxies)}"


def _address(connection: HTTPConnection, proxies: Sequence[Network]) -> str:
    """The address of the nearest hop that is no trusted proxy: what lies beyond it, that hop may have made up."""
    told = connection.client.host if connection.client is not None else ""
    nearest = _read(told)
    if nearest is None:
        return told
    forwarded = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    while forwarded and any(nearest in network for network in proxies):
        farther = _read(forwarded.pop().strip())
        if farther is None:
            break
        nearest = farther
    return _household(nearest)


def _read(text: str) -> Address | None:
    """An address, which proxies may tell with a port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == _PORT:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _household(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), HOUSEHOLD), strict=False))
