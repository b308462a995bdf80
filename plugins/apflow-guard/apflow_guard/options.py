"""What the operator decides: the section `[guard]` of the configuration."""

from __future__ import annotations

import re
from functools import cached_property
from ipaddress import ip_network
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt

from apflow_guard.places import Place
from apflow_guard.refusals import Refused
from apflow_guard.table import Address, Network

_ENTRY = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:./]+)\]|(?P<other>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
MOST_PORT = 65_535


@frozen
class Opening:
    """One entry of `allow`: a name or a network, and the port where it has one of its own."""

    name: str | None
    network: Network | None
    port: int | None

    @classmethod
    def of(cls, entry: str) -> Opening:
        """An entry as it is written.

        Raises:
            ValueError: It is none.
        """
        parts = _ENTRY.fullmatch(entry)
        if parts is None or not 0 < int(parts["port"] or 1) <= MOST_PORT:
            raise ValueError("not of that form")
        port = None if parts["port"] is None else int(parts["port"])
        host = parts["ipv6"] or parts["other"]
        if parts["ipv6"] or "/" in host or _host(host).address:
            return cls(None, ip_network(host), port)
        return cls(_host(host).host, None, port)


def _host(host: str) -> Place:
    try:
        return Place.of(host, 0)
    except Refused as refused:
        raise ValueError(str(refused)) from None


def _opened(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for entry in value:
        try:
            Opening.of(entry)
        except ValueError as error:
            rule = "a host, an address or a network, each with or without a port, IPv6 in brackets, as '[fd00::/8]:8443'"
            raise ValueError(f"{attribute.name} must hold {rule}, and not {entry!r}: {error}") from None


def _hosts(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for entry in value:
        try:
            Place.of(entry, 0)
        except Refused as refused:
            raise ValueError(f"{attribute.name} must hold names and addresses, and not {entry!r}: {refused}") from None


def _ports(_: Any, attribute: Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    for port in value:
        if not 0 < port <= MOST_PORT:
            raise ValueError(f"{attribute.name} must hold numbers from 1 to {MOST_PORT}, and not {port}")


def _bundle(_: Any, attribute: Attribute[str | None], value: str | None) -> None:
    if value is None:
        return
    import ssl  # noqa: PLC0415 - this module is imported at every start

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except OSError as error:
        raise ValueError(f"{attribute.name} must be a file of certificates in PEM, and not {value!r}: {error}") from None


@frozen
class GuardOptions:
    """Where requests may go, and how much they may take: `[guard]`.

    Args:
        allow: What is opened beside the public addresses: names, addresses, networks, each with an optional port. A name opens
            whatever it resolves to; an address or a network what lies in it, under any name; without a port `ports` hold.
        ports: Ports that requests may go to.
        timeout: Seconds for a whole request, with its body and all redirects.
        max_bytes: Bytes of an answer's body, decoded.
        max_redirects: Redirects that a request may follow at most.
        ca_file: Certificates (PEM) of the authorities to trust, in place of the well-known ones.
        unverified: Names and addresses whose certificates are not checked.
    """

    allow: tuple[str, ...] = field(default=(), validator=_opened)
    ports: tuple[int, ...] = field(default=(80, 443), validator=_ports)
    timeout: float = field(default=30.0, validator=gt(0))
    max_bytes: int = field(default=10 << 20, validator=gt(0))
    max_redirects: int = field(default=3, validator=ge(0))
    ca_file: str | None = field(default=None, validator=_bundle)
    unverified: tuple[str, ...] = field(default=(), validator=_hosts)

    @cached_property
    def openings(self) -> tuple[Opening, ...]:
        """The entries of `allow`."""
        return tuple(Opening.of(entry) for entry in self.allow)

    @cached_property
    def unverified_hosts(self) -> frozenset[str]:
        """The entries of `unverified`, in the form of a place's host."""
        return frozenset(Place.of(entry, 0).host for entry in self.unverified)

    def opens_name(self, place: Place) -> bool:
        """Whether a place is opened by its name, whatever that resolves to."""
        return any(opening.name == place.host and self._fits(opening, place.port) for opening in self.openings)

    def opens_address(self, address: Address, port: int) -> bool:
        """Whether an address lies in what is opened."""
        return any(
            opening.network is not None and address in opening.network and self._fits(opening, port)
            for opening in self.openings
        )

    def opens_port(self, port: int) -> bool:
        """Whether some network is opened at a port of its own, so that a name has to be resolved first."""
        return any(opening.network is not None and opening.port == port for opening in self.openings)

    def _fits(self, opening: Opening, port: int) -> bool:
        return port in self.ports if opening.port is None else port == opening.port
