from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib

import httpx
import pytest

from apflow_guard import Refused, TooMuch

from .conftest import body_of, opened, reply

MIB = 1 << 20
TEXT = b"some text, " * 1000


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def bomb():
    """1 GiB of zeros, as one member of gzip of 1 MiB: 1,024 blocks of which each but the first has the same bytes."""
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    first, block = (compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + 1023 * block


async def collected(response, parts):
    async for part in response.aiter_bytes():
        parts.append(part)


async def endless(head):
    yield reply(content_length=None)
    while True:
        yield bytes(MIB)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(TEXT)), ("GZip", gzip.compress(TEXT)), ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)), ("deflate", raw_deflate(TEXT)), ("identity", TEXT),
        ("identity, gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:70]) + gzip.compress(TEXT[70:])),
    ],
)  # fmt: skip
async def test_a_body_is_decoded(serve, encoding, encoded):
    server = await serve(reply(encoded, content_encoding=encoding))
    assert await body_of(opened(server), server.url) == TEXT


async def test_a_client_that_knows_nothing_of_the_guard_gets_the_body_decoded_too(serve):
    server = await serve(reply(gzip.compress(TEXT), content_encoding="gzip"))
    async with opened(server).client() as client, client.stream("GET", server.url) as response:
        assert b"".join([part async for part in response.aiter_raw()]) == TEXT
    assert response.headers.keys() & {"content-encoding", "content-length"} == set()


async def test_only_what_can_be_decoded_is_asked_for(serve):
    server = await serve(reply())
    for asked in ("br, zstd", "identity"):
        await body_of(opened(server), server.url, headers={"Accept-Encoding": asked})
    assert [head.headers["accept-encoding"] for head in server.heads] == ["gzip, deflate", "identity"]


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "gzip\r\nContent-Encoding: gzip"]
)
async def test_another_encoding_and_a_second_one_are_refused(serve, encoding):
    server = await serve(reply(gzip.compress(gzip.compress(TEXT)), content_encoding=encoding))
    with pytest.raises(Refused, match="gzip, deflate, once"):
        await body_of(opened(server), server.url)


@pytest.mark.parametrize(
    "encoded", [b"no gzip", gzip.compress(TEXT)[:-1], gzip.compress(TEXT)[:20], gzip.compress(TEXT) + b"more"]
)
async def test_damaged_data_is_told(serve, encoded):
    server = await serve(reply(encoded, content_encoding="gzip"))
    with pytest.raises(httpx.DecodingError, match=r"127\.0\.0\.1: the answer cannot be decoded"):
        await body_of(opened(server), server.url)


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_body_of_just_the_allowed_size_is_taken(serve, size):
    server = await serve(reply(bytes(size)))
    assert await body_of(opened(server), server.url, max_bytes=max(size, 1)) == bytes(size)


async def test_a_gzip_bomb_takes_no_more_memory_than_is_allowed(serve):
    encoded = bomb()
    assert len(encoded) < 1.1 * MIB
    server = await serve(reply(encoded, content_encoding="gzip"))
    guard = opened(server, max_bytes=2 * MIB)
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", server.url))
        tracemalloc.start()
        try:
            with pytest.raises(TooMuch, match=r"127\.0\.0\.1: the answer has more than 2,097,152 bytes") as much:
                await response.aread()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            await response.aclose()
    assert much.value.error == "failed"
    assert peak < 8 * MIB


async def test_a_body_that_says_it_is_too_large_is_not_read(serve):
    server = await serve(reply(content_length=MIB + 1))
    async with opened(server, max_bytes=MIB).client() as client:
        with pytest.raises(TooMuch):
            await client.get(server.url)
        await server.idle.wait()


async def test_the_length_of_what_a_head_request_did_not_ask_for_does_not_matter(serve):
    server = await serve(reply(content_length=10**12, content_encoding="br"))
    assert await body_of(opened(server), server.url, method="HEAD") == b""


async def test_a_body_without_an_end_is_cut_off(serve):
    server = await serve(endless)
    received = []
    guard = opened(server)
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", server.url), max_bytes=3 * MIB)
        with pytest.raises(TooMuch):
            await collected(response, received)
        await server.idle.wait()
    assert 2 * MIB < len(b"".join(received)) <= 3 * MIB


async def test_what_comes_encoded_counts_too(serve):
    noise = os.urandom(2000)

    async def until_the_end(head):
        yield reply(gzip.compress(noise), content_encoding="gzip", content_length=None)
        raise ConnectionResetError

    server = await serve(until_the_end)
    assert await body_of(opened(server), server.url) == noise
    with pytest.raises(TooMuch):
        await body_of(opened(server), server.url, max_bytes=2000)


async def test_headers_without_an_end_are_cut_off(serve):
    async def huge(head):
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            yield b"X-More: " + bytes(50_000).replace(b"\0", b"x") + b"\r\n"

    server = await serve(huge)
    with pytest.raises(httpx.RemoteProtocolError):
        await body_of(opened(server), server.url)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Len", reply(b"half", content_length=8), b"SSH-2.0-OpenSSH_9.6\r\n"]
)
async def test_a_server_that_ends_early_or_speaks_otherwise_is_told_with_its_host(serve, answer):
    async def ending(head):
        yield answer
        raise ConnectionResetError

    server = await serve(ending)
    with pytest.raises(httpx.RemoteProtocolError, match=r"^127\.0\.0\.1: "):
        await body_of(opened(server), server.url)


async def test_a_malformed_header_is_not_shown(serve):
    server = await serve(reply())
    with pytest.raises(httpx.LocalProtocolError) as error:
        await body_of(opened(server), server.url, headers={"Authorization": "Bearer se-cret\r\nX: y"})
    assert "cret" not in f"{error.value}"
    assert error.value.__suppress_context__


async def test_a_request_for_another_host_than_the_urls_is_refused(serve):
    server = await serve(reply())
    with pytest.raises(Refused, match="Host"):
        await body_of(opened(server), server.url, headers={"Host": "inner.example"})
    assert server.heads == []


async def test_a_tunnel_is_refused(serve):
    server = await serve(reply())
    with pytest.raises(Refused, match="CONNECT"):
        await body_of(opened(server), server.url, method="CONNECT")
    assert server.connections == 0
