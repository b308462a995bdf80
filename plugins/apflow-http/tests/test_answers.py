"""What comes of an answer: the result of a task, or its error."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from base64 import b64decode
from email.utils import formatdate

import httpx
import pytest
import trustme

from apflow_guard import Guard, GuardOptions
from apflow_hookspecs import TaskFailed
from apflow_http import RestExecutor
from apflow_http.answers import LONGEST_PAUSE, retry_after

from .conftest import Server, answer, json_answer


def typed(body, content_type):
    return answer(body, 200, ("Content-Type", content_type))


async def test_a_result_tells_all_of_an_answer(fetch, server):
    server.answers["/"] = answer(
        '{"a": [1]}', 201, ("Content-Type", "application/json"), ("X-A", "1"), ("X-A", "2"), ("Set-Cookie", "canary=1")
    )
    result = await fetch("/?q=1#part", method="POST")
    assert result == {
        "success": True,
        "status_code": 201,
        "url": f"{server.origin}/?q=1",
        "method": "POST",
        "headers": {"content-length": "10", "content-type": "application/json", "x-a": "1, 2", "connection": "close"},
        "json": {"a": [1]},
    }


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json; charset=utf-8", "Application/JSON"])
@pytest.mark.parametrize("body", ["{}", "[]", "null", "0", '"text"'])
async def test_json_is_read(fetch, server, content_type, body):
    server.answers["/"] = json_answer(body, content_type)
    assert (await fetch())["json"] in ({}, [], None, 0, "text")


@pytest.mark.parametrize("body", ["", "{", "<html>", "[NaN]", "[1e999999", "[" * 200_000])
async def test_what_is_called_json_and_is_none_comes_as_text(fetch, server, body):
    server.answers["/"] = json_answer(body)
    result = await fetch()
    assert (result["text"], "json" in result) == (body, False)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("größe".encode(), "text/plain", "größe"),
        ("größe".encode("latin-1"), "text/plain; charset=ISO-8859-1", "größe"),
        ("größe".encode("utf-16"), "text/html; charset=utf-16", "größe"),
        (b"a\xffb", "text/plain", "a\N{REPLACEMENT CHARACTER}b"),
        ("ü".encode(), "text/plain; charset=no-such", "ü"),
        (b"a-\xc3\xbc", "text/plain; charset=punycode", "a-ü"),
        (b"abc", "text/plain; charset=hex", "abc"),
        (b"abc", "text/plain; charset=\x80\x81", "abc"),
        (b"<a/>", "image/svg+xml", "<a/>"),
        (b"a=1", "application/x-www-form-urlencoded", "a=1"),
        (b"a,b", "application/vnd.x; charset=utf-8", "a,b"),
        ("ü".encode(), "", "ü"),
        ("ü".encode(), "nonsense", "ü"),
    ],
)
async def test_text_is_read_in_its_encoding(fetch, server, body, content_type, text):
    server.answers["/"] = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n".encode("latin-1") + body
    )
    assert (await fetch())["text"] == text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"\x89PNG\0", "image/png"), (b"plain", "application/octet-stream"), (b"a\0b", "text/plain"), (b"\xff\xfe", "")],
)
async def test_what_is_no_text_comes_as_base64(fetch, server, body, content_type):
    server.answers["/"] = typed(body, content_type)
    result = await fetch()
    assert (b64decode(result["base64"]), "text" in result) == (body, False)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
async def test_an_answer_without_a_body_has_none_in_its_result(fetch, server, method, status):
    server.answers["/"] = f"HTTP/1.1 {status} OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n".encode()
    result = await fetch(method=method)
    assert result.keys() == {"success", "status_code", "url", "method", "headers"}


async def test_a_compressed_body_is_read(fetch, server):
    server.answers["/"] = answer(
        gzip.compress(b'{"a": 1}'), 200, ("Content-Type", "application/json"), ("Content-Encoding", "gzip")
    )
    assert (await fetch())["json"] == {"a": 1}


@pytest.mark.parametrize(
    ("status", "expect", "success"),
    [(200, ["2xx"], True), (204, [200, "2XX"], True), (404, [200, 404], False), (503, ["2xx", "5xx"], False)],
)
async def test_a_status_that_is_expected_completes_the_task(fetch, server, status, expect, success):
    server.answers["/"] = answer("", status)
    result = await fetch(expect=expect)
    assert (result["status_code"], result["success"]) == (status, success)


async def test_a_status_that_is_not_expected_fails_the_task_and_tells_the_answer(fetch, server):
    body = "no\0w" + "x" * 5000
    server.answers["/x"] = answer(body, 503, ("X-A", "1"), ("Set-Cookie", "canary=1"), reason="canary")
    with pytest.raises(TaskFailed) as failure:
        await fetch("/x?token=canary")
    assert str(failure.value) == f"GET {server.origin} answered 503 Service Unavailable"
    assert (failure.value.error, failure.value.retry_after) == ("failed", None)
    details = failure.value.details
    assert (details["status_code"], details["headers"]["x-a"]) == (503, "1")
    assert details["body"] == body[:2000].replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert "canary" not in f"{failure.value} {details}"


async def test_a_status_that_nobody_knows_is_told_by_its_number(fetch, server):
    server.answers["/"] = answer("", 599)
    with pytest.raises(TaskFailed, match=r"answered 599$"):
        await fetch()


async def test_a_redirect_that_is_not_followed_fails_the_task(fetch, server):
    server.answers["/"] = answer("", 302, ("Location", "/elsewhere"))
    with pytest.raises(TaskFailed, match="answered 302 Found") as failure:
        await fetch()
    assert failure.value.details["headers"]["location"] == "/elsewhere"


async def test_more_redirects_than_it_may_follow_fail_the_task(fetch, server):
    server.answers["/"] = answer("", 302, ("Location", "/"))
    with pytest.raises(TaskFailed, match="it redirects more often than"):
        await fetch(redirects=1)


async def test_a_redirect_to_where_nobody_may_go_is_denied(fetch, server):
    server.answers["/"] = answer("", 302, ("Location", "http://169.254.169.254/latest"))
    with pytest.raises(TaskFailed, match=r"169\.254\.169\.254") as failure:
        await fetch(redirects=1)
    assert failure.value.error == "denied"


@pytest.mark.parametrize("status", [503, 429, 404, 301])
async def test_retry_after_is_passed_on_with_any_failing_status(fetch, server, status):
    server.answers["/"] = answer("", status, ("Retry-After", "120"), ("Location", "/"))
    with pytest.raises(TaskFailed) as failure:
        await fetch()
    assert failure.value.retry_after == 120


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 400, LONGEST_PAUSE),
        (formatdate(1_000_090, usegmt=True), 90),
        (formatdate(999_000, usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE),
        ("Mon, 12 Jan 1970 13:46:50 -0000", 10),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Jan 1970 13:46:50 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(header, seconds):
    assert retry_after(header, 1_000_000) == seconds


async def test_an_answer_that_is_not_expected_is_told_though_its_body_never_ends(fetch, server):
    server.unending["/"] = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 9\r\nContent-Length: 99\r\n\r\nwait"
    with pytest.raises(TaskFailed, match="answered 429 Too Many Requests") as failure:
        await fetch(timeout=0.2)
    assert (failure.value.details["body"], failure.value.retry_after) == ("wait", 9)


async def test_of_an_answer_that_is_not_expected_no_more_is_read_than_is_told(fetch, server):
    server.unending["/"] = b"HTTP/1.1 500 Oh\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 20_000
    with pytest.raises(TaskFailed, match="answered 500 Internal Server Error") as failure:
        await fetch()
    assert failure.value.details["body"] == "x" * 2000
    await asyncio.wait_for(server.left.wait(), 10)


async def test_a_server_that_is_not_there_is_told_in_plain_words(executor, unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    executor.guard = Guard(GuardOptions(allow=(f"127.0.0.1:{port}",)))
    with pytest.raises(TaskFailed) as failure:
        await executor.execute({"url": f"http://127.0.0.1:{port}/canary?canary", "auth": {"type": "bearer", "token": "canary"}})
    assert str(failure.value) == f"GET http://127.0.0.1:{port} failed: Connection refused"
    assert (failure.value.error, failure.value.details) == ("failed", {"exception": "ConnectError"})
    assert isinstance(failure.value.__cause__, httpx.ConnectError)


async def test_a_name_that_is_not_known_is_told_in_plain_words(executor):
    with pytest.raises(TaskFailed, match=r"^GET http://no-such-host\.invalid failed: its name cannot be resolved$"):
        await executor.execute({"url": "http://no-such-host.invalid/canary"})


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbe", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"\r\n"])
async def test_an_answer_that_is_not_whole_or_no_http_is_told(fetch, server, sent):
    server.answers["/"] = sent
    with pytest.raises(TaskFailed, match="its answer is not whole, or no HTTP") as failure:
        await fetch()
    assert failure.value.details == {"exception": "RemoteProtocolError"}


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbe"])
async def test_a_server_that_is_too_slow_is_left_in_time(fetch, server, sent):
    server.unending["/"] = sent
    with pytest.raises(TaskFailed, match=r"took longer than 0\.1 s") as failure:
        await fetch(timeout=0.1)
    assert failure.value.error == "timeout"
    await asyncio.wait_for(server.left.wait(), 10)


async def test_a_body_that_is_too_large_is_refused(executor, server):
    executor.guard = Guard(GuardOptions(allow=(server.place,), max_bytes=1000))
    server.answers["/"] = typed("x" * 1001, "text/plain")
    with pytest.raises(TaskFailed, match="1,000 bytes"):
        await executor.execute({"url": server.origin})


@pytest.fixture
async def secure():
    """A server with a certificate of an authority that nobody knows, for the address only."""
    authority, served = trustme.CA(), Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=context)
    served.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield served


async def test_a_certificate_that_nobody_knows_is_told(secure):
    executor = RestExecutor(guard=Guard(GuardOptions(allow=(secure.place,))))
    with pytest.raises(TaskFailed, match="its certificate cannot be trusted: unable to get local issuer certificate"):
        await executor.execute({"url": f"https://{secure.place}/"})
    await executor.aclose()


async def test_a_server_that_speaks_no_tls_is_told(executor):
    def greet(_, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        place = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        executor.guard = Guard(GuardOptions(allow=(place,)))
        with pytest.raises(TaskFailed, match=rf"^GET https://{place} failed: TLS could not be agreed on: ") as failure:
            await executor.execute({"url": f"https://{place}/canary"})
    assert failure.value.details == {"exception": "ConnectError"}


async def test_the_operator_can_leave_a_certificate_unchecked(secure):
    executor = RestExecutor(guard=Guard(GuardOptions(allow=(secure.place,), unverified=("127.0.0.1",))))
    assert (await executor.execute({"url": f"https://{secure.place}/", "verify": True}))["json"] == {"a": 1}
    await executor.aclose()


def test_a_date_is_counted_from_now():
    assert 50 < (retry_after(formatdate(time.time() + 60, usegmt=True), time.time()) or 0) <= 60
