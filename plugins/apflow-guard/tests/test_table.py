from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apflow_guard.table import SPECIAL, special

FORBIDDEN = [
    "0.0.0.1", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "172.15.255.255", "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1",
    "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_global_unicast_is_special(address):
    assert special(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_global_unicast_is_not(address):
    assert special(ip_address(address)) is None


@pytest.mark.parametrize("network", [network for network, _ in SPECIAL], ids=str)
def test_a_network_is_special_from_its_first_to_its_last_address(network):
    assert special(network[0])
    assert special(network[-1])


addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(IPv4Address),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    st.integers(0x2000 << 112, (0x4000 << 112) - 1).map(IPv6Address),
    st.ip_addresses(),
)


@given(addresses)
@example(IPv4Address("192.0.0.170"))
@settings(max_examples=2000)
def test_no_address_passes_that_python_knows_to_be_special(address):
    assert special(address) or (address.is_global and not address.is_multicast)


@given(st.integers(0, 2**32 - 1).map(IPv4Address), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}"]))
def test_an_ipv4_address_inside_of_an_ipv6_one_never_passes(inner, form):
    assert special(IPv6Address(form.format(inner)))
