"""For whom a request counts."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from apflow_hookspecs import Caller
from apflow_ratelimit.callers import counted_for

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
NOBODY = Caller()


def test_a_user_counts_wherever_he_comes_from(connection):
    assert counted_for(Caller("ada"), connection(), ()) == counted_for(Caller("ada"), connection("192.0.2.2"), ()) == "user ada"


def test_who_is_called_like_an_address_is_not_counted_with_it(connection):
    assert counted_for(Caller("192.0.2.1"), connection(), ()) != counted_for(NOBODY, connection(), ())


def test_a_public_route_knows_no_caller_and_counts_the_address(connection):
    assert counted_for(None, connection(), ()) == "address 192.0.2.1"


@pytest.mark.parametrize(
    ("address", "forwarded", "counted"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.7"], "198.51.100.7"),
        ("::1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.5", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.5", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.5", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.5", ["203.0.113.9, 198.51.100.7, 10.0.0.6"], "198.51.100.7"),
        ("10.0.0.5", ["10.0.0.7, 10.0.0.6"], "10.0.0.7"),
        ("10.0.0.5", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.5", ["[2001:db8:1:2:3::1]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.5", ["198.51.100.7, unknown"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", [], "2001:db8:1:3::/64"),
        (None, ["198.51.100.7"], ""),
    ],
)
def test_an_address_is_the_nearest_that_no_trusted_proxy_has(connection, address, forwarded, counted):
    assert counted_for(NOBODY, connection(address, *forwarded), PROXIES) == f"address {counted}"
