"""What plugins add to the server, and what becomes of those that fail."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from samples import echo
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from apflow_hookspecs import NoParams, hookimpl, operation
from apflow_hookspecs.errors import ConfigError, NotFound, StorageUnavailable

from .serving import served

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


class Routes:
    def __init__(self, *routes):
        self.routes = routes

    @hookimpl
    def apflow_routes(self):
        return self.routes


def raising(error):
    async def endpoint(request):
        raise error

    return Routes(Route("/raise", endpoint))


async def test_the_plugin_of_the_readme_adds_a_route_and_a_middleware():
    (source,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    plugin = type(sys)("apflow_hello")
    exec(compile(source, "README.md", "exec"), vars(plugin))  # noqa: S102 - ours
    async with served(plugins={"hello": plugin}) as server:
        answer = await server.http.get("/hello")
        assert answer.json() == {"hello": None}
        assert answer.headers["content-encoding"] == "gzip"


async def test_middleware_is_around_all_routes_in_the_order_of_names_and_knows_the_caller():
    seen = []

    def noting(name):
        class Noting:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                seen.append((name, scope["state"]["caller"].origin))
                await self.app(scope, receive, send)

        class Plugin:
            @hookimpl
            def apflow_middleware(self):
                yield Middleware(Noting)

        return Plugin()

    async with served(plugins={"b": noting("b"), "a": noting("a")}) as server:
        await server.http.get("/tasks")
    assert seen == [("a", "remote"), ("b", "remote")]


@pytest.mark.parametrize(
    "error",
    [ValueError("/etc/secret"), SystemExit(3), asyncio.CancelledError(), StorageUnavailable("/var/lib/flow.db is full")],
    ids=repr,
)
async def test_a_route_that_fails_tells_an_incident_and_nothing_of_the_inside(error, caplog):
    async with served(plugins={"raise": raising(error)}) as server:
        answer = await server.http.get("/raise")
        assert answer.status_code == (503 if isinstance(error, StorageUnavailable) else 500)
        (incident,) = re.findall("incident ([0-9a-f]{8})", answer.json()["error"]["message"])
        assert incident in caplog.text
        assert not re.search(r"/etc|/var|Traceback|File ", answer.text)
        assert (await server.http.get("/tasks")).status_code == 200


async def test_a_route_may_refuse_as_operations_do():
    async with served(plugins={"raise": raising(NotFound("there is no such card"))}) as server:
        answer = await server.http.get("/raise")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, NotFound.code)


async def test_an_operation_that_fails_tells_an_incident():
    @operation("broken.now", scope="read", params=NoParams)
    async def broken(engine, caller, params):
        """Fail."""
        raise KeyError("inside")

    class Plugin:
        @hookimpl
        def apflow_operations(self):
            yield broken

    async with served(plugins={"broken": Plugin()}) as server:
        answer = await server.http.post("/tasks", json={"method": "broken.now", "id": 4})
        assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (500, 4, -32603)
        assert answer.json()["error"]["data"]["incident"]
        assert "inside" not in answer.text


@pytest.mark.parametrize("path", ["/tasks", "/tasks/{task_id}", "/twice"])
async def test_a_path_that_is_taken_keeps_the_server_from_starting(path):
    async def endpoint(request):
        return PlainTextResponse("mine")

    plugins = {"one": Routes(Route("/twice", endpoint)), "two": Routes(Route(path, endpoint))}
    with pytest.raises(ConfigError, match="taken"):
        async with served(plugins=plugins):
            pass


async def test_a_plugin_may_mount_an_application_of_its_own():
    async def app(scope, receive, send):
        await PlainTextResponse(scope["path"], headers={"Cache-Control": "max-age=60"})(scope, receive, send)

    async with served(plugins={"ui": Routes(Mount("/ui", app))}) as server:
        answer = await server.http.get("/ui/index")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "max-age=60")


async def test_a_plugin_that_cannot_tell_its_routes_keeps_the_server_from_starting():
    class Broken:
        @hookimpl
        def apflow_routes(self):
            raise RuntimeError("no templates")

    with pytest.raises(ConfigError, match=r"broken.*apflow_routes.*no templates"):
        async with served(echo, plugins={"broken": Broken()}):
            pass
