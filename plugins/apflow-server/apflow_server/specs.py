"""The hooks of the server: routes, middleware, who a caller is, and what it may do now.

They are found like those of the host. One that is installed without the server is marked `@hookimpl(optionalhook=True)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from apflow_hookspecs import Caller, Engine, hookspec

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.requests import HTTPConnection
    from starlette.routing import BaseRoute


@hookspec
def apflow_routes(engine: Engine) -> Iterable[BaseRoute]:
    """Add routes.

    When: once, when the server starts. Sync. An exception, or a path that is taken, keeps the server from starting. A route
    asks for a credential like any other; its endpoint finds the caller in `request.state.caller`.

        async def hello(request):
            return JSONResponse({"hello": request.state.caller.user_id})

        @hookimpl
        def apflow_routes():
            yield Route("/hello", hello)
    """
    yield from ()


@hookspec
def apflow_middleware(engine: Engine) -> Iterable[Middleware]:
    """Add middleware, around all routes and inside of authentication: `scope["state"]["caller"]` is the caller.

    When: once, when the server starts. Sync. An exception keeps the server from starting. The first is outermost, in the order
    of the plugins' names.

        class Timed:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                begun = time.monotonic()
                await self.app(scope, receive, send)
                log.info("%s took %.3f s", scope["path"], time.monotonic() - begun)

        @hookimpl
        def apflow_middleware():
            yield Middleware(Timed)
    """
    yield from ()


@hookspec
def apflow_credentials(engine: Engine) -> Iterable[str] | Awaitable[Iterable[str]]:
    """Tell which credentials are configured, in words for the operator (`2 tokens`); none, when nobody could show one.

    When: when the server starts. May be async, and then returns a list. Where all tell none, the server lets everybody in and
    binds to loopback only. An exception keeps it from starting.

        @hookimpl
        def apflow_credentials():
            return ["the company's single sign-on"]
    """
    return ()


@hookspec
def apflow_authenticate(request: HTTPConnection) -> Caller | Awaitable[Caller | None] | None:
    """Tell who makes a request.

    When: per request to any route but the public ones. May be async. The first `Caller` counts; None leaves it to others. Where
    a credential is configured and nobody tells a caller, the request is denied (401). `PermissionDenied` denies it in its own
    words; any other exception, or no answer in time, in general ones.

        @hookimpl
        async def apflow_authenticate(request):
            user = await sessions.user(request.cookies.get("session"))
            return None if user is None else Caller(user, frozenset({"read", "submit"}))
    """
    return None


@hookspec
def apflow_admit(request: HTTPConnection, caller: Caller, operation: str) -> Awaitable[None] | None:
    """Refuse an operation now, by raising: `RateLimited` (429), `Overloaded` (503), `PermissionDenied` (403).

    When: per operation of a request, each of a batch, after authentication; of an event stream when it begins. May be async.
    Any other exception, or no answer in time, denies.

        @hookimpl
        def apflow_admit(caller, operation):
            if operation == "tasks.purge" and datetime.now().hour in range(8, 18):
                raise PermissionDenied("not during office hours")
    """
