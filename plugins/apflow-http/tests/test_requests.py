"""What is sent for the inputs of a task."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from .conftest import answer, json_answer


@pytest.fixture
def sent(fetch, server):
    """What the server received."""

    async def send(path="/", **inputs):
        await fetch(path, **inputs)
        return server.received[-1]

    return send


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "post"])
async def test_every_method_is_sent(sent, method):
    assert (await sent(method=method)).method == method.upper()


async def test_it_is_a_get_where_nothing_else_is_said(sent):
    request = await sent()
    assert (request.method, request.target, request.body) == ("GET", "/", b"")


async def test_headers_are_sent_as_they_are(sent):
    request = await sent(headers={"X-Number": 7, "X-Ratio": 0.5, "X-Text": " blå ", "User-Agent": "mine"})
    assert [request.headers[name] for name in ("X-Number", "X-Ratio", "User-Agent")] == ["7", "0.5", "mine"]
    assert b"\r\nX-Text: bl\xe5\r\n" in request.head


async def test_params_are_added_to_the_query_and_lists_repeat(sent):
    request = await sent("/?a=1", params={"b": ["x y", 2], "c": True, "d": "&="})
    assert request.target == "/?a=1&b=x+y&b=2&c=true&d=%26%3D"


async def test_without_params_a_query_is_left_as_it_is_written(sent):
    assert (await sent("/?a=%41&b=x+y", params={})).target == "/?a=%41&b=x+y"


async def test_json_is_sent_with_its_type(sent):
    request = await sent(method="POST", json={"größe": [1, None, True]})
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {"größe": [1, None, True]}


async def test_an_object_as_data_is_sent_as_a_form(sent):
    request = await sent(method="POST", data={"a": "1 & 2", "b": [1, "x"]})
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.body == b"a=1+%26+2&b=1&b=x"


async def test_a_text_as_data_is_sent_as_it_is(sent):
    request = await sent(method="PUT", data="a=ü")
    assert (request.headers["Content-Type"], request.body) == ("text/plain; charset=utf-8", "a=ü".encode())


async def test_the_type_of_a_body_can_be_said_by_a_header(sent):
    request = await sent(method="POST", data="<a/>", headers={"content-type": "application/xml"})
    assert request.headers.get_all("Content-Type") == ["application/xml"]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "bearer", "token": "t0k"}, ("Authorization", "Bearer t0k")),
        ({"type": "Bearer", "token": "t0k", "username": None, "location": "header"}, ("Authorization", "Bearer t0k")),
        (
            {"type": "basic", "username": "ada", "password": "pä:ss"},
            ("Authorization", f"Basic {b64encode('ada:pä:ss'.encode()).decode()}"),
        ),
        ({"type": "basic", "username": "ada", "password": ""}, ("Authorization", "Basic YWRhOg==")),
        ({"type": "apikey", "key": "X-Key", "value": "k"}, ("X-Key", "k")),
        ({"type": "apikey", "key": "X-Key", "value": "k", "location": "header"}, ("X-Key", "k")),
        ({"type": "apikey", "key": "X-Key", "value": "k", "location": None}, ("X-Key", "k")),
    ],
)
async def test_credentials_go_into_a_header(sent, auth, header):
    request = await sent(auth=auth)
    assert request.headers[header[0]] == header[1]


async def test_an_api_key_goes_into_the_query_and_not_into_the_result(fetch, server):
    auth = {"type": "apikey", "key": "key", "value": "s/3", "location": "query"}
    result = await fetch("/?a=1", params={"b": 2}, auth=auth)
    assert server.received[0].target == "/?a=1&b=2&key=s%2F3"
    assert result["url"] == f"{server.origin}/?a=1&b=2"


async def test_the_key_of_the_run_is_sent_when_it_is_asked_for(sent):
    assert (await sent(method="POST", idempotency_key=True)).headers["Idempotency-Key"] == "key-of-the-run"
    assert "Idempotency-Key" not in (await sent(method="POST")).headers


async def test_cookies_are_kept_for_nobody(fetch, server):
    server.answers["/"] = answer("", 200, ("Set-Cookie", "session=s; Path=/"))
    await fetch()
    await fetch()
    assert [request.headers["Cookie"] for request in server.received] == [None, None]


async def test_redirects_are_followed_as_often_as_it_is_said(fetch, server):
    server.answers["/old"] = answer("", 302, ("Location", "/"))
    result = await fetch("/old", redirects=1, headers={"X-Key": "k"})
    assert (result["url"], result["json"]) == (f"{server.origin}/", {"a": 1})
    assert [request.headers["X-Key"] for request in server.received] == ["k", "k"]


async def test_credentials_do_not_go_along_to_another_origin(fetch, server, other_server):
    server.answers["/old"] = answer("", 302, ("Location", f"{other_server.origin}/"))
    other_server.answers["/"] = json_answer("[]")
    await fetch("/old", redirects=1, auth={"type": "bearer", "token": "t"}, headers={"X-Key": "k", "Cookie": "a=b"})
    headers = other_server.received[0].headers
    assert [headers[name] for name in ("Authorization", "X-Key", "Cookie")] == [None, None, None]
