from __future__ import annotations

import asyncio

import httpx
import pytest

from apflow_guard import Refused, TooLong

from .conftest import body_of, opened, redirect, reply


def dripping(start):
    """An answer that begins so and then gets a byte now and then, without an end."""

    async def drip(head):
        yield start
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    return drip


@pytest.mark.parametrize(
    "answer",
    [
        dripping(reply(content_length=10**6)), dripping(reply(content_length=None)), dripping(b"HTTP/1.1 200 OK\r\nX-Drip: "),
        dripping(b""), None,
    ],
    ids=["body", "body without a length", "headers", "status", "silence"],
)  # fmt: skip
async def test_what_takes_too_long_is_ended(serve, answer):
    server = await serve(answer)
    with pytest.raises(TooLong, match=r"127\.0\.0\.1: the request took longer than 0\.3 s"):
        await body_of(opened(server, timeout=0.3), server.url)
    await server.idle.wait()


async def test_informational_answers_without_an_end_are_ended(serve):
    async def endless(head):
        while True:
            yield b"HTTP/1.1 100 Continue\r\n\r\n"
            await asyncio.sleep(0.01)

    server = await serve(endless)
    with pytest.raises(TooLong):
        await body_of(opened(server, timeout=0.3), server.url)


async def test_the_caller_may_give_another_time(serve):
    server = await serve(None)
    with pytest.raises(TooLong, match=r"longer than 0\.2 s"):
        await body_of(opened(server), server.url, timeout=0.2)


async def test_all_hops_share_one_time(serve):
    server = await serve(lambda head: redirect("/there") if head.target == "/" else None)
    with pytest.raises(TooLong, match=r"longer than 0\.3 s"):
        await body_of(opened(server, timeout=0.3), server.url, redirects=1)
    assert server.targets == ["/", "/there"]


async def test_a_cancelled_request_leaves_no_connection(serve):
    server = await serve(None)
    guard = opened(server)
    async with guard.client() as client:
        request = asyncio.create_task(client.get(server.url))
        await server.asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await server.idle.wait()
        assert server.connections == 1


async def test_a_request_that_is_cancelled_while_its_body_is_read_leaves_no_connection(serve):
    server = await serve(dripping(reply(content_length=10**6)))
    guard = opened(server)
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", server.url))
        reading = asyncio.create_task(response.aread())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await response.aclose()
        await server.idle.wait()


async def test_a_response_that_is_closed_unread_leaves_no_connection(serve):
    server = await serve(reply(content_length=10**6))
    guard = opened(server)
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", server.url))
        await response.aclose()
        await server.idle.wait()


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("GET", reply(b"hello")), ("GET", reply(status="204 No Content", content_length=None)),
        ("GET", reply(status="304 Not Modified", content_length=None)), ("HEAD", reply(content_length=5)),
    ],
    ids=["length", "204", "304", "HEAD"],
)  # fmt: skip
async def test_what_a_server_sends_beyond_its_answer_is_the_answer_to_nothing(serve, method, first):
    server = await serve(lambda head: reply(b"true") if head.target == "/next" else first + reply(b"forged"))
    async with opened(server).client() as client:
        await client.request(method, server.url)
        assert (await client.get(f"{server.url}next")).content == b"true"
    assert server.connections == 2


async def test_a_connection_is_closed_as_soon_as_its_answer_is_read(serve):
    server = await serve(reply(b"hello"))
    async with opened(server).client() as client:
        for _ in range(3):
            assert (await client.get(server.url)).content == b"hello"
            await server.idle.wait()
            with pytest.raises(Refused):
                await client.get("http://127.0.0.1:1/")
    assert (server.connections, len(server.heads)) == (3, 3)


async def test_cookies_are_kept_where_the_caller_has_some_only(serve):
    server = await serve(reply(set_cookie="theirs=1; Path=/"))
    for options, second in (({}, None), ({"cookies": None}, None), ({"cookies": {"own": "2"}}, "own=2; theirs=1")):
        async with opened(server).client(**options) as client:
            await client.get(server.url)
            await client.get(server.url)
        assert server.heads[-1].headers.get("cookie") == second


async def test_many_requests_at_once_have_an_answer_each(serve):
    server = await serve(lambda head: reply(head.target.encode()))
    async with opened(server).client() as client:
        answers = await asyncio.gather(*(client.get(f"{server.url}{n}") for n in range(300)))
    assert [answer.text for answer in answers] == [f"/{n}" for n in range(300)]
    assert server.most <= 100


async def test_the_timeouts_of_httpx_hold_where_a_plugin_sets_them(serve):
    server = await serve(None)
    async with opened(server).client(timeout=httpx.Timeout(0.1)) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"^127\.0\.0\.1: ReadTimeout"):
            await client.get(server.url)
