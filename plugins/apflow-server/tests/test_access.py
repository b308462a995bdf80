"""Who gets in, and by which door."""

import pytest
from samples import echo
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from apflow_hookspecs import SCOPES, Caller, hookimpl
from apflow_hookspecs.errors import ConfigError, PermissionDenied, StorageUnavailable

from .raw import head, said, status
from .serving import served


async def hello(request):
    return PlainTextResponse(f"hello {request.state.caller.user_id}")


class Door:
    """Knows users by the header `X-User`; with `credentials` it says so at the start."""

    def __init__(self, *credentials):
        self.credentials = credentials

    @hookimpl
    def apflow_credentials(self):
        return self.credentials

    @hookimpl
    async def apflow_authenticate(self, request):
        user = request.headers.get("x-user")
        if user == "late":
            raise PermissionDenied("this credential has expired")
        if user == "broken":
            raise ValueError("secret inside")
        return None if user is None else Caller(user, SCOPES - {"admin"}, "local")

    @hookimpl
    def apflow_routes(self):
        yield Route("/hello", hello)
        yield Route("/card.json", hello, name="public:card")
        yield Route("/{name}/open", hello, name="public:open")


class Closed:
    """Lets nobody do anything."""

    def __init__(self, error):
        self.error = error

    @hookimpl
    async def apflow_admit(self, operation):
        raise self.error


@pytest.fixture
async def server():
    async with served(echo, plugins={"door": Door("names")}) as running:
        yield running


async def test_without_a_credential_everybody_may_do_everything():
    async with served(echo, plugins={"door": Door()}) as server:
        made = await server.http.post("/tasks", json={"method": "tasks.create", "params": {"executor": "echo"}})
        assert made.status_code == 200
        assert (await server.http.get("/hello")).text == "hello None"


async def test_whoever_shows_a_credential_has_its_scopes_and_its_tasks_only(server):
    body = {"method": "tasks.create", "params": {"id": "hers", "executor": "echo"}}
    assert (await server.http.post("/tasks", json=body, headers={"X-User": "ada"})).status_code == 200
    assert (await server.http.get("/tasks/hers", headers={"X-User": "ada"})).json()["user_id"] == "ada"
    other = await server.http.get("/tasks/hers", headers={"X-User": "bob"})
    missing = await server.http.get("/tasks/none", headers={"X-User": "bob"})
    assert (other.status_code, other.text.replace("hers", "none")) == (404, missing.text)


def walked(app):
    return sorted({getattr(route, "path", "/").replace("{task_id}", "a").replace("{id}", "a") for route in app.routes})


ODD = (
    "/", "//tasks", "/tasks/", "/tasks%2f", "/tasks;a=b", "/TASKS", "/tasks/../tasks", "/./tasks", "/x/health/live",
    "/health/live/", "/HEALTH/LIVE", "/health/live;x", "//health/live", "/health/ready/../../tasks", "/health", "/nothing",
    "/card.json/", "/CARD.JSON", "/card.json/../tasks", "/x/open", "/tasks?health/live", "/tasks%00", "/health%252flive",
)  # fmt: skip


async def test_every_path_asks_for_a_credential_whatever_the_method(server):
    for path in [path for path in walked(server.app) if path != "/card.json"] + list(ODD):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "PROPFIND"):
            answer = await said(server.port, head(method, path))
            assert status(answer) == 401, (method, path, answer)


async def test_only_health_and_what_is_public_answers_without_a_credential(server):
    for path in ("/health/live", "/health/ready", "/card.json", "/health%2flive"):
        assert (await server.http.get(path)).status_code == 200, path


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/health/live"}, {"X-Rewrite-URL": "/health/live"}, {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Prefix": "/health/live"}, {"X-Forwarded-Host": "localhost", "Forwarded": "for=127.0.0.1"},
        {"X-HTTP-Method-Override": "GET"}, {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Version": "13"},
        {"Authorization": "Bearer x"}, {"X-User": "broken"}, {"Cookie": "session=x"},
    ],
    ids=repr,
)  # fmt: skip
async def test_no_header_opens_the_door(server, headers):
    assert (await server.http.get("/tasks", headers=headers)).status_code == 401


async def test_a_host_that_holds_a_path_gains_nothing(server):
    for host in ("127.0.0.1/health/live?", "a/health/live?", "127.0.0.1#/health/live", "127.0.0.1:80/health/live"):
        answer = await said(server.port, f"GET /tasks HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        assert status(answer) == 421, host


async def test_a_refusal_says_how_to_come_back(server):
    answer = await server.http.get("/tasks")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"] == -32004


async def test_a_plugin_may_say_why_a_credential_does_not_count(server):
    answer = await server.http.get("/tasks", headers={"X-User": "late"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "this credential has expired")


async def test_a_plugin_that_fails_denies_and_tells_nothing_of_the_inside(server, caplog):
    answer = await server.http.get("/tasks", headers={"X-User": "broken"})
    assert (answer.status_code, "secret inside" in answer.text) == (401, False)
    assert "door" in caplog.text


async def test_a_plugin_that_does_not_answer_denies():
    class Asleep:
        @hookimpl
        async def apflow_authenticate(self):
            import asyncio

            await asyncio.Event().wait()

    async with served(plugins={"asleep": Asleep()}, hook_timeout=0.05) as server:
        assert (await server.http.get("/tasks")).status_code == 401


async def test_the_door_stays_closed_when_the_last_credential_goes():
    door = Door("names")
    async with served(plugins={"door": door}) as server:
        door.credentials = ()
        assert (await server.http.get("/tasks")).status_code == 401


async def test_nobody_comes_as_a_user_of_this_machine(server):
    body = {"method": "system.backup", "params": {"target": "/tmp/no"}}  # noqa: S108 - never written
    assert (await server.http.post("/system", json=body, headers={"X-User": "ada"})).status_code == 403


@pytest.mark.parametrize("error", [PermissionDenied("not now"), ValueError("inside")], ids=repr)
async def test_a_plugin_may_refuse_an_operation(error):
    async with served(plugins={"closed": Closed(error)}) as server:
        answer = await server.http.get("/tasks")
        assert (answer.status_code, "inside" in answer.text) == (403, False)
        batch = await server.http.post("/tasks", json=[{"method": "tasks.count", "id": 1}])
        assert batch.json()[0]["error"]["code"] == -32004


async def test_a_plugin_whose_storage_is_gone_tells_nothing_of_the_inside():
    class Tokens:
        @hookimpl
        def apflow_authenticate(self):
            raise StorageUnavailable("/var/lib/flow.db is gone")

    for plugin in (Tokens(), Closed(StorageUnavailable("/var/lib/flow.db is gone"))):
        async with served(plugins={"tokens": plugin}) as server:
            answer = await server.http.get("/tasks")
            assert (answer.status_code, "/var" in answer.text, "Retry-After" in answer.headers) == (503, False, True)


async def test_a_server_whose_credentials_cannot_be_told_does_not_start():
    class Broken:
        @hookimpl
        def apflow_credentials(self):
            raise OSError("no such file")

    with pytest.raises(ConfigError, match=r"broken.*apflow_credentials.*no such file"):
        async with served(plugins={"broken": Broken()}):
            pass
