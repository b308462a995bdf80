"""The server that asks for a credential: every path, and every wrong way to show one, as bytes on a socket."""

from __future__ import annotations

import asyncio

import pytest
from samples import echo
from starlette.routing import Route

from .conftest import front, told

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@pytest.fixture
async def server():
    async with front(echo) as server:
        yield server


async def raw(server, *lines: str) -> bytes:
    """The beginning of the answer to these lines, as they stand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))
        return await asyncio.wait_for(reader.readline(), 30)
    finally:
        writer.close()


async def shown(server, *credentials: str) -> int:
    """The status of the answer to a request with these headers."""
    lines = [f"Authorization: {credential}" for credential in credentials]
    answer = await raw(server, "GET /tasks HTTP/1.1", "Host: localhost", *lines)
    return int(answer.split(b" ")[1])


async def test_no_route_is_open_but_those_of_health(server):
    for path in ("/health/live", "/health/ready"):
        assert (await server.http.get(path)).status_code == 200
    for route in routes():
        for method in METHODS:
            answer = await server.http.request(method, route.path.format(task_id="any"))
            assert answer.status_code == 401, (method, route.path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def routes() -> list[Route]:
    from apflow_server.rest import ROUTES
    from apflow_server.rpc import rpc_routes
    from apflow_server.streams import stream_routes

    return [*rpc_routes(), *stream_routes(), *(Route(rest.path, echo, methods=[rest.method]) for rest in ROUTES)]


@pytest.mark.parametrize(
    "path",
    ["/", "/tasks/", "//tasks", "/tasks%2f", "/tasks;x", "/TASKS", "/x/health", "/health", "/HEALTH/live", "/health/live/",
     "/nowhere", "/health/live/../../tasks", "/docs", "/openapi.json", "/health/live;/tasks", "/health%2flive/x"],
)  # fmt: skip
async def test_no_other_spelling_gets_past(server, path):
    answer = await raw(server, f"GET {path} HTTP/1.1", "Host: localhost", "X-Original-URL: /health/live")
    assert answer.split(b" ")[1] == b"401"


async def test_one_right_header_gets_in_and_no_other(server):
    credential = (await server.token("ada", "read"))["Authorization"]
    token = credential.partition(" ")[2]
    assert await shown(server, credential) == 200
    assert await shown(server, f"bEARER {token}") == 200
    for wrong in (
        [], [token], [f"Basic {token}"], [f"Bearer  {token}"], [f"Bearer {token} x"], [f"Bearer {token[:-1]}"],
        [f"Bearer {token}x"], [credential, credential], [credential, "Basic YTpi"], ["Bearer x", credential], ["Bearer"],
        ["Bearer \xff"], [f"Bearer {token[:20]}_{'A' * 43}"], [f"Bearer {'a.' * 8000}"],
    ):  # fmt: skip
        assert await shown(server, *wrong) == 401, wrong


@pytest.mark.parametrize("query", ["token", "access_token"])
async def test_a_token_in_the_address_is_refused_with_a_word(server, query):
    header = await server.token("ada", "read")
    answer = await server.http.get("/tasks", params={query: header["Authorization"].partition(" ")[2]})
    assert answer.status_code == 401
    assert "never into the address" in answer.json()["error"]["message"]


async def test_a_header_of_a_megabyte_is_refused(server):
    answer = await raw(server, "GET /tasks HTTP/1.1", "Host: localhost", f"Authorization: Bearer {'a' * 1_000_000}")
    assert answer.split(b" ")[1] in {b"400", b"401", b"431"}
    assert await shown(server) == 401


async def test_each_scope_opens_what_it_is_for(server):
    wanted = {"tasks.count": "read", "tasks.create": "submit", "tasks.cancel": "cancel", "tokens.list": "admin"}
    for scope in ("read", "submit", "cancel", "admin"):
        headers = await server.token("ada", scope)
        for name, needed in wanted.items():
            status = (await server.call(name, {}, headers)).status_code
            assert (status == 403) == (scope not in {needed, "admin"}), (scope, name, status)


async def test_a_token_without_scopes_is_known_and_may_nothing(rsa_pair, kept):
    async with front(jwt={"key_file": kept(rsa_pair.pem)}) as server:
        headers = {"Authorization": f"Bearer {rsa_pair.sign(scope=None)}"}
        answer = await server.call("tasks.count", {}, headers)
        assert answer.status_code == 403
        assert "needs the scope 'read', and the caller has none" in answer.json()["error"]["message"]


async def test_an_expired_token_is_told_as_such(rsa_pair, kept):
    async with front(jwt={"key_file": kept(rsa_pair.pem)}) as server:
        answer = await server.call("tasks.count", {}, {"Authorization": f"Bearer {rsa_pair.sign(**told(exp=1))}"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "The token has expired.")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_administrators_look_after_tokens_over_http(server):
    admin = await server.token("root", "admin")
    made = (await server.call("tokens.create", {"scopes": ["read"], "user_id": "ada"}, admin)).json()["result"]
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await server.call("tasks.count", {}, headers)).status_code == 200
    for name, params in (("tokens.create", {"scopes": ["admin"]}), ("tokens.list", {}), ("tokens.revoke", {"id": made["id"]})):
        assert (await server.call(name, params, headers)).status_code == 403
    listed = await server.call("tokens.list", {}, admin)
    assert made["id"] in listed.text
    assert made["token"][21:] not in listed.text
    assert (await server.call("tokens.revoke", {"id": made["id"]}, admin)).json()["result"] == {"revoked": made["id"]}
    assert (await server.call("tasks.count", {}, headers)).status_code == 401


async def test_a_token_stands_in_no_log(server, caplog):
    caplog.set_level("DEBUG", "apflow")
    headers = await server.token("ada", "read")
    token = headers["Authorization"].partition(" ")[2]
    await server.call("tasks.count", {}, headers)
    await server.call("tasks.create", {"name": "a"}, headers)
    await server.call("tasks.count", {}, {"Authorization": f"Basic {token}"})
    await server.http.get("/tasks", params={"token": token})
    ours = [record for record in caplog.records if record.name.startswith("apflow")]
    assert any(record.name == "apflow.audit" for record in ours)
    assert not [record for record in ours if token[21:] in f"{record.getMessage()} {record.__dict__}"]
