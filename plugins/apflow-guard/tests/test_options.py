from __future__ import annotations

import pytest

from apflow.testing import engine_of
from apflow_guard import GuardOptions, Refused
from apflow_hookspecs.errors import ConfigError

from .conftest import PRIVATE, PUBLIC, body_of, guard_for, names, reply


@pytest.mark.parametrize(
    "allow", ["127.0.0.1:{}", "127.0.0.0/8:{}", "localhost:{}", "LocalHost.:{}", "0.0.0.0/0:{}"]
)  # fmt: skip
async def test_a_local_server_is_reached_where_the_operator_opens_it(serve, allow):
    server = await serve(reply(b"hello"))
    host = "localhost" if "ocal" in allow else "127.0.0.1"
    assert await body_of(guard_for(allow.format(server.port)), f"http://{host}:{server.port}/") == b"hello"


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.0/8"])
async def test_without_a_port_of_its_own_an_entry_opens_the_usual_ports(serve, allow):
    server = await serve(reply(b"hello"))
    with pytest.raises(Refused, match=f"port {server.port} is none of guard.ports"):
        await body_of(guard_for(allow), server.url)
    assert await body_of(guard_for(allow, ports=(server.port,)), server.url) == b"hello"
    guard_for(allow).check_url("http://127.0.0.1/")


@pytest.mark.parametrize("allow", ["localhost:{}", "127.0.0.2:{}", "10.0.0.0/8:{}", "[::1]:{}", "127.0.0.1:1"])
async def test_what_another_entry_opens_is_not_reached(serve, allow):
    server = await serve(reply(b"hello"))
    with pytest.raises(Refused):
        await body_of(guard_for(allow.format(server.port)), server.url)
    assert server.connections == 0


async def test_a_name_opens_whatever_it_resolves_to():
    resolver = names(inner_example=(PRIVATE, "fd00::1"), other_example=(PRIVATE,))
    guard = guard_for("inner.example", resolve=resolver)
    assert await guard.check("http://inner.example/") == (PRIVATE, "fd00::1")
    for refused in ("http://other.example/", f"http://{PRIVATE}/", "http://inner.example:8080/", "http://sub.inner.example/"):
        with pytest.raises(Refused):
            await guard_for("inner.example", resolve=names(other_example=(PRIVATE,), sub_inner_example=(PRIVATE,))).check(
                refused
            )


async def test_a_network_opens_what_lies_in_it_under_any_name():
    guard = guard_for("[fd00::/8]", resolve=names(in_example=("fd12::1",), half_example=("fd12::1", PRIVATE)))
    assert await guard.check("http://in.example/") == ("fd12::1",)
    with pytest.raises(Refused, match="private"):
        await guard.check("http://half.example/")


async def test_a_port_that_is_opened_for_one_network_is_not_opened_for_public_addresses():
    guard = guard_for("10.0.0.0/8:8080", resolve=names(in_example=(PRIVATE,), out_example=(PUBLIC,)))
    assert await guard.check("http://in.example:8080/") == (PRIVATE,)
    with pytest.raises(Refused, match=r"out\.example:8080"):
        await guard.check("http://out.example:8080/")
    with pytest.raises(Refused, match="port 22"):
        guard.check_url("http://in.example:22/")


async def test_an_ipv4_network_does_not_open_addresses_that_carry_its_own():
    with pytest.raises(Refused, match="mapped"):
        await guard_for("10.0.0.0/8").check("http://[::ffff:10.0.0.1]/")


@pytest.mark.parametrize(
    "options",
    [
        {"allow": ("a b",)}, {"allow": ("",)}, {"allow": ("10.0.0.1/8",)}, {"allow": ("::1",)}, {"allow": ("fd00::/8",)},
        {"allow": ("a:0",)}, {"allow": ("a:70000",)}, {"allow": ("http://a",)}, {"allow": ("a/path",)}, {"allow": ("*.a",)},
        {"allow": ("127.1",)}, {"allow": ("[::1",)}, {"allow": ("[10.0.0.0/8]x",)}, {"ports": (0,)}, {"ports": (65536,)},
        {"timeout": 0}, {"max_bytes": 0}, {"max_redirects": -1}, {"ca_file": "/no/such.pem"}, {"unverified": ("a:443",)},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GuardOptions(**options)


async def test_a_wrong_section_keeps_the_engine_from_opening():
    import apflow_guard

    with pytest.raises(ConfigError, match=r"guard.*ports must hold numbers from 1 to 65535, and not 0"):
        async with engine_of(plugins={"guard": apflow_guard}, sections={"guard": {"ports": [0]}}):
            pass


@pytest.mark.parametrize("name", ["transport", "mounts", "proxy", "verify", "trust_env", "cert"])
def test_a_client_has_no_option_that_leads_around_the_guard(name):
    with pytest.raises(ValueError, match=f"{name}: the guard decides"):
        guard_for().client(**{name: None})


def test_a_client_that_should_follow_redirects_is_told_how():
    with pytest.raises(ValueError, match=r"guard\.send"):
        guard_for().client(follow_redirects=True)
