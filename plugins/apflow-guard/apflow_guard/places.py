"""Where a URL leads: the host in the one form that is taken, and the port."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from attrs import frozen

from apflow_guard.refusals import Refused
from apflow_guard.table import Address

if TYPE_CHECKING:
    import httpx

PORTS = {"http": 80, "https": 443}

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_MAX_NAME = 253
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?", re.DOTALL)
"""What resolvers, as inet_aton, take for an IPv4 address in one of its many spellings (WHATWG URL, "ends in a number")."""
_AFTER_USER = re.compile(r"[^:/?#]*://[^/?#]*@(\[[^\]/?#]*\]|[^:/?#]*)")


@frozen
class Place:
    """A host and a port.

    Args:
        host: A name in lower case without the dot at the end, in ASCII, or an address without brackets.
        port: From 0.
        address: The host, where it is one.
    """

    host: str
    port: int
    address: Address | None = None

    @classmethod
    def of(cls, host: str, port: int) -> Place:
        """A place by its host: a name in ASCII or an address, with or without brackets.

        Raises:
            Refused: The host has another form.
        """
        host = host.lower()
        if ":" in host:
            return cls._ipv6(host, port)
        if _NUMERIC.fullmatch(host):
            return cls._ipv4(host, port)
        if len(host) > _MAX_NAME or not _NAME.fullmatch(host):
            raise Refused(host, "a host must be a name of letters, digits and hyphens, or an address")
        return cls(host.removesuffix("."), port)

    @classmethod
    def _ipv4(cls, host: str, port: int) -> Place:
        try:
            return cls(host, port, IPv4Address(host))
        except AddressValueError:
            raise Refused(host, "an IPv4 address must be written as four decimal numbers") from None

    @classmethod
    def _ipv6(cls, host: str, port: int) -> Place:
        host = host.removeprefix("[").removesuffix("]")
        try:
            address = IPv6Address(host)
        except AddressValueError:
            raise Refused(host, "what has a colon must be an IPv6 address") from None
        if address.scope_id is not None:
            raise Refused(host, "an address must not name an interface")
        return cls(str(address), port, address)

    def __str__(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


def place_of(url: str | httpx.URL) -> Place:
    """Where a URL leads, as httpx reads it.

    Raises:
        Refused: It is no URL for a request, or could be read in two ways.
    """
    import httpx  # noqa: PLC0415 - this module is imported at every start

    if isinstance(url, str):
        _check_text(url)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:  # its message may show what should be a secret
        raise Refused(None, "its host or port is malformed") from None
    host = parsed.raw_host.decode("ascii")
    if parsed.scheme not in PORTS:
        raise Refused(host or None, "the scheme must be http or https")
    if not host:
        raise Refused(None, "it must have a host")
    if parsed.userinfo:
        raise Refused(host, "a URL must not hold a user or a password")
    return Place.of(host, PORTS[parsed.scheme] if parsed.port is None else parsed.port)


def _check_text(url: str) -> None:
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise Refused(None, "it must not hold backslashes, spaces, line breaks or control characters")
    if named := _AFTER_USER.match(url):
        raise Refused(named[1].lower().strip("[]") or None, "a URL must not hold a user or a password")
