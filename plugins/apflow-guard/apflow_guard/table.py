"""Which addresses are public: an own table, for those of Python and of the system differ from release to release.

The sources are IANA's registries of special-purpose addresses (https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry) and the RFCs named. Whatever carries an IPv4 address inside of an
IPv6 one (mapped, translated, tunnelled) is refused as such, never unpacked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is given out to anybody (RFC 4291)."""

_SPECIAL = (
    ("0.0.0.0/8", "an address of this host (RFC 791)"),
    ("10.0.0.0/8", "a private address (RFC 1918)"),
    ("100.64.0.0/10", "a provider's inner address (RFC 6598)"),
    ("127.0.0.0/8", "a loopback address (RFC 1122)"),
    ("169.254.0.0/16", "a link-local address, as the metadata of clouds has (RFC 3927)"),
    ("172.16.0.0/12", "a private address (RFC 1918)"),
    ("192.0.0.0/24", "an address kept for protocols (RFC 6890)"),
    ("192.0.2.0/24", "an address for documentation (RFC 5737)"),
    ("192.88.99.0/24", "a 6to4 relay (RFC 7526)"),
    ("192.168.0.0/16", "a private address (RFC 1918)"),
    ("198.18.0.0/15", "an address for benchmarks (RFC 2544)"),
    ("198.51.100.0/24", "an address for documentation (RFC 5737)"),
    ("203.0.113.0/24", "an address for documentation (RFC 5737)"),
    ("224.0.0.0/4", "a multicast address (RFC 5771)"),
    ("240.0.0.0/4", "a reserved address (RFC 1112)"),
    ("::/128", "an address of this host (RFC 4291)"),
    ("::1/128", "a loopback address (RFC 4291)"),
    ("::ffff:0:0/96", "a mapped IPv4 address (RFC 4291)"),
    ("64:ff9b::/96", "a translated IPv4 address (RFC 6052)"),
    ("64:ff9b:1::/48", "a translated IPv4 address (RFC 8215)"),
    ("100::/64", "an address for discarding (RFC 6666)"),
    ("2001::/23", "an address kept for protocols, as Teredo's (RFC 2928)"),
    ("2001:db8::/32", "an address for documentation (RFC 3849)"),
    ("2002::/16", "a 6to4 address (RFC 3056)"),
    ("3fff::/20", "an address for documentation (RFC 9637)"),
    ("5f00::/16", "a segment identifier (RFC 9602)"),
    ("fc00::/7", "a private address (RFC 4193)"),
    ("fe80::/10", "a link-local address (RFC 4291)"),
    ("fec0::/10", "a site-local address (RFC 3879)"),
    ("ff00::/8", "a multicast address (RFC 4291)"),
)
SPECIAL: tuple[tuple[Network, str], ...] = tuple((ip_network(network), what) for network, what in _SPECIAL)
"""Networks that nothing public lies in, and what an address in each is."""


def special(address: Address) -> str | None:
    """What an address is when it is not public, as `a private address (RFC 1918)`; None when it is."""
    if address.version == 6 and address.scope_id is not None:  # noqa: PLR2004 - the version of IP
        return "an address of one interface (RFC 4007)"
    for network, what in SPECIAL:
        if address in network:
            return what
    if address.version == 6 and address not in _GLOBAL_UNICAST:  # noqa: PLR2004 - likewise
        return "an address that nobody is given (RFC 4291)"
    return None
