from __future__ import annotations

import asyncio
import socket

import httpcore
import httpx
import pytest

from apflow_guard import Guard, Refused, TooLong
from apflow_guard.network import GuardedNetwork

from .conftest import PRIVATE, PUBLIC, Detour, Names, body_of, guard_for, names, reply


async def test_a_name_is_connected_to_at_the_address_that_was_checked(serve):
    server = await serve(reply(b"hello"))
    resolver = Names({"public.example": [(PUBLIC,), ("127.0.0.1",)]})
    detour = Detour(server.port)
    assert await body_of(guard_for(resolve=resolver, network=detour), "http://public.example/") == b"hello"
    assert detour.reached == [(PUBLIC, 80)]
    assert resolver.asked == ["public.example"]
    assert server.heads[0].headers["host"] == "public.example"


async def test_a_name_that_resolves_to_something_else_later_is_refused_at_the_next_connection(serve):
    server = await serve(reply(b"hello", connection="close"))
    resolver = Names({"public.example": [(PUBLIC,), ("127.0.0.1",)]})
    async with guard_for(resolve=resolver, network=Detour(server.port)).client() as client:
        await client.get("http://public.example/")
        with pytest.raises(Refused, match="loopback"):
            await client.get("http://public.example/")
    assert server.connections == 1


@pytest.mark.parametrize(
    "found", [(PUBLIC, "127.0.0.1"), ("127.0.0.1", PUBLIC), (PRIVATE, "::1"), (PUBLIC, "fe80::1%2"), (PUBLIC, "::ffff:8.8.8.8")]
)  # fmt: skip
async def test_a_name_is_refused_where_one_of_its_addresses_is(found):
    detour = Detour(1)
    guard = guard_for(resolve=names(mixed_example=found), network=detour)
    with pytest.raises(Refused, match=r"^mixed\.example is refused: it resolves to"):
        await body_of(guard, "http://mixed.example/")
    assert detour.reached == []


async def test_a_refusal_does_not_tell_what_a_name_resolves_to():
    with pytest.raises(Refused) as refused:
        await guard_for(resolve=names(inner_example=(PRIVATE,))).check("http://inner.example/")
    assert PRIVATE not in str(refused.value)


async def test_the_next_address_is_tried_where_one_is_dead(serve):
    server = await serve(reply(b"hello"))
    detour = Detour(server.port, dead=("2606:4700::1111",))
    guard = guard_for(resolve=names(public_example=("2606:4700::1111", PUBLIC)), network=detour)
    assert await body_of(guard, "http://public.example/") == b"hello"
    assert [host for host, _ in detour.reached] == ["2606:4700::1111", PUBLIC]


async def test_a_name_without_an_address_cannot_be_connected_to():
    guard = guard_for(resolve=names(no_example=()))
    with pytest.raises(httpx.ConnectError, match=r"no\.example: the name has no address"):
        await body_of(guard, "http://no.example/")
    with pytest.raises(OSError, match=r"no\.example"):
        await guard.check("http://no.example/")


async def test_a_name_that_is_unknown_is_named_in_the_error():
    async def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(httpx.ConnectError, match=r"no\.example: the name cannot be resolved: Name or service not known"):
        await body_of(guard_for(resolve=unknown), "http://no.example/")


async def test_a_resolver_that_hangs_ends_at_the_deadline():
    async def hanging(host, port):
        await asyncio.Event().wait()

    guard = guard_for(resolve=hanging, timeout=0.1)
    with pytest.raises(TooLong, match=r"slow\.example: the request took longer than 0\.1 s") as late:
        await guard.check("http://slow.example/")
    assert late.value.error == "timeout"
    with pytest.raises(TooLong):
        await body_of(guard, "http://slow.example/")


async def test_a_webhook_is_checked_with_all_its_addresses():
    guard = guard_for(resolve=names(public_example=(PUBLIC, PUBLIC, "2606:4700::1111")))
    assert await guard.check("https://public.example/hook") == (PUBLIC, "2606:4700::1111")


@pytest.mark.parametrize("host", [f"{PUBLIC}", "2606:4700::1111", "[2606:4700::1111]"])
async def test_an_address_is_its_own_and_never_resolved(host):
    assert await guard_for(resolve=names()).addresses(host, 443) == (host.strip("[]"),)


async def test_a_protocol_that_is_not_http_has_its_addresses_checked():
    guard = guard_for("10.0.0.0/8:22", resolve=names(inner_example=(PRIVATE,), outer_example=(PUBLIC,)))
    assert await guard.addresses("inner.example", 22) == (PRIVATE,)
    with pytest.raises(Refused, match="port 22"):
        await guard.addresses("outer.example", 22)


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST"])
async def test_this_machine_has_a_name_that_the_system_resolves_and_the_table_refuses(host):
    with pytest.raises(Refused, match="localhost is refused: it resolves to a loopback address"):
        await Guard().check(f"http://{host}/")


async def test_a_name_for_the_metadata_of_a_cloud_is_refused():
    resolver = names(metadata_google_internal=("169.254.169.254",))
    with pytest.raises(Refused, match="link-local"):
        await body_of(guard_for(resolve=resolver), "http://metadata.google.internal/computeMetadata/v1/")


async def test_a_unix_socket_is_refused():
    network = GuardedNetwork(Guard(), httpcore.AnyIOBackend())
    with pytest.raises(Refused, match="Unix socket"):
        await network.connect_unix_socket("/run/docker.sock")
