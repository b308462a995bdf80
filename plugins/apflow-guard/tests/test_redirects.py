from __future__ import annotations

import httpx
import pytest

from apflow_guard import Refused

from .conftest import PUBLIC, Detour, body_of, guard_for, names, opened, redirect, reply

SECRETS = {"Authorization": "Bearer se-cret", "Cookie": "id=se-cret", "X-Api-Key": "se-cret", "Accept": "text/plain"}

HARMLESS = {"host", "accept", "accept-encoding", "user-agent", "connection"}


def leading(*targets, last=b"hello"):
    """A server's answers: from / to the first target, from there to the next."""
    ways = dict(zip(["/", *targets], targets, strict=False))
    return lambda head: redirect(ways[head.target]) if head.target in ways else reply(last)


@pytest.fixture
async def pair(serve):
    """Two origins, the first of which redirects to the second, and a guard that lets requests go to both."""

    async def pair(status="302 Found"):
        second = await serve(reply(b"hello"))
        first = await serve(redirect(f"http://127.0.0.1:{second.port}/there", status))
        return first, second, guard_for(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")

    return pair


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "ftp://public.example/", "http://127.0.0.1/", "http://localhost/",
        "//127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/", "http://[::1]/",
        "http://[fd00:ec2::254]/", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://127.1/", "http://public.example:22/",
        "http://public.example:25/", "http://public.example:6379/", "http://user:word@public.example/", "http://inner.example/",
        "unix:/run/docker.sock", "data:text/plain,hello",
    ],
)  # fmt: skip
async def test_a_redirect_to_a_forbidden_place_is_refused(serve, location):
    server = await serve(lambda head: redirect(location) if head.target == "/" else reply(b"reached"))
    inner = {"inner_example": ("10.0.0.1",), "metadata_google_internal": ("169.254.169.254",), "localhost": ("127.0.0.1",)}
    detour = Detour(server.port)
    guard = guard_for(resolve=names(public_example=(PUBLIC,), **inner), network=detour)
    with pytest.raises(Refused):
        await body_of(guard, "http://public.example/", redirects=3)
    assert server.targets == ["/"]
    assert detour.reached == [(PUBLIC, 80)]


@pytest.mark.parametrize("location", ["http://0177.0.0.1/", "http://public.example:port/", "http://[::1/"])
async def test_a_redirect_to_what_is_no_url_goes_nowhere(serve, location):
    server = await serve(redirect(location))
    with pytest.raises(httpx.RemoteProtocolError):
        await body_of(opened(server), server.url, redirects=3)
    assert len(server.heads) == 1


async def test_without_being_asked_no_redirect_is_followed(serve):
    server = await serve(redirect("/there"))
    guard = opened(server)
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", server.url))
        await response.aclose()
    assert (response.status_code, response.headers["location"], server.targets) == (302, "/there", ["/"])


async def test_redirects_are_followed_as_far_as_was_asked(serve):
    server = await serve(leading("/a", "/b", "/c"))
    assert await body_of(opened(server), server.url, redirects=3) == b"hello"
    with pytest.raises(httpx.TooManyRedirects, match="more than 2 redirects"):
        await body_of(opened(server), server.url, redirects=2)
    assert server.targets == ["/", "/a", "/b", "/c", "/", "/a", "/b"]


async def test_more_redirects_than_the_operator_allows_are_refused(serve):
    server = await serve(reply())
    with pytest.raises(Refused, match=r"4 redirects are more than guard\.max_redirects = 3"):
        await body_of(opened(server), server.url, redirects=4)
    assert server.heads == []


async def test_httpx_itself_follows_none(pair):
    first, second, guard = await pair()
    async with guard.client() as client:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(first.url, headers=SECRETS, follow_redirects=True)
    assert second.connections == 0


async def test_an_answer_that_redirects_holds_no_connection(serve):
    second = await serve(reply(b"hello"))
    first = await serve(reply(status="302 Found", location=f"http://127.0.0.1:{second.port}/", content_length=10**6))
    guard = guard_for(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", first.url), redirects=1)
        await first.idle.wait()
        assert await response.aread() == b"hello"


async def test_within_an_origin_the_headers_go_along(serve):
    server = await serve(leading("/a"))
    await body_of(opened(server), server.url, redirects=1, headers=SECRETS)
    assert server.heads[1].headers["authorization"] == "Bearer se-cret"
    assert server.heads[1].headers["x-api-key"] == "se-cret"


async def test_to_another_origin_no_secret_goes_along(pair):
    first, second, guard = await pair()
    async with guard.client(auth=("ada", "se-cret"), cookies={"id": "se-cret"}, headers={"X-Client": "se-cret"}) as client:
        request = client.build_request("GET", first.url, headers=SECRETS)
        response = await guard.send(client, request, redirects=1)
        assert await response.aread() == b"hello"
    assert "se-cret" in str(first.heads[0].headers)
    assert "authorization" in first.heads[0].headers
    assert set(second.heads[0].headers) <= HARMLESS
    assert second.heads[0].headers["accept"] == "text/plain"
    assert second.heads[0].headers["host"] == f"127.0.0.1:{second.port}"


async def test_what_left_its_origin_gets_no_secret_when_it_comes_back(serve):
    second = await serve(lambda _: redirect(f"http://127.0.0.1:{first.port}/back"))
    first = await serve(lambda head: reply() if head.target == "/back" else redirect(f"http://127.0.0.1:{second.port}/"))
    guard = guard_for(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")
    async with guard.client(auth=("ada", "se-cret")) as client:
        response = await guard.send(client, client.build_request("GET", first.url, headers=SECRETS), redirects=2)
        await response.aclose()
    assert first.targets == ["/", "/back"]
    assert set(first.heads[1].headers) <= HARMLESS


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_body_is_not_taken_to_another_origin(pair, status):
    first, second, guard = await pair(status)
    with pytest.raises(Refused, match="must not take a body along"):
        await body_of(guard, first.url, method="POST", content=b"se-cret", redirects=1)
    assert second.connections == 0


async def test_after_a_303_there_is_no_body_to_take_along(pair):
    first, second, guard = await pair("303 See Other")
    assert await body_of(guard, first.url, method="POST", content=b"se-cret", redirects=1) == b"hello"
    assert (second.heads[0].method, second.heads[0].headers.get("content-length")) == ("GET", None)


@pytest.mark.parametrize(
    ("status", "method", "content_type"),
    [("303 See Other", "POST", None), ("302 Found", "PUT", None), ("307 Temporary Redirect", "POST", "text/plain")],
)
async def test_the_type_of_a_body_goes_along_with_the_body_only(serve, status, method, content_type):
    server = await serve(lambda head: redirect("/there", status) if head.target == "/" else reply(b"hello"))
    headers = {"Content-Type": "text/plain", "X-Kept": "yes"}
    await body_of(opened(server), server.url, method=method, headers=headers, content=b"text", redirects=1)
    assert (server.heads[1].headers.get("content-type"), server.heads[1].headers["x-kept"]) == (content_type, "yes")
