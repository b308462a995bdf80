"""The application: routes, and what stands before them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from pluggy import PluginManager
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from apflow_hookspecs import ApflowError, Engine
from apflow_hookspecs.errors import ConfigError
from apflow_server import Server
from apflow_server.authentication import Authentication, public_paths
from apflow_server.crowd import Crowd
from apflow_server.documents import document_routes
from apflow_server.errors import InvalidRequest, NoSuchPath, WrongMethod, harmless, refusal
from apflow_server.faults import Faults
from apflow_server.health import Health
from apflow_server.hooks import Hooks
from apflow_server.options import Options
from apflow_server.rest import rest_routes
from apflow_server.rpc import rpc_routes
from apflow_server.sites import Sites
from apflow_server.state import Serving
from apflow_server.streams import stream_routes

__all__ = ["Server", "application"]


def application(engine: Engine, host: PluginManager, options: Options) -> Starlette:
    """The server of an engine as an ASGI application; `await app.state.server.start()` before it is used.

    Args:
        engine: What is served.
        host: Who implements the hooks of the server.
        options: What the operator set.

    Raises:
        ConfigError: A plugin failed, or has a path that is taken.
    """
    serving = Serving(engine, Hooks(host, options.hook_timeout), options)
    own: list[BaseRoute] = [*rpc_routes(), *rest_routes(engine), *stream_routes(), *document_routes()]
    added = serving.hooks.routes(engine)
    _refuse_taken(own, added)
    app = Starlette(
        routes=[*own, *added],
        middleware=[*_layers(serving, public_paths(added)), *serving.hooks.middleware(engine)],
        exception_handlers={HTTPException: _http, ApflowError: _refused},
    )
    app.router.redirect_slashes = False
    app.state.engine, app.state.server = engine, serving
    return app


def _layers(serving: Serving, public: frozenset[str]) -> list[Middleware]:
    """What a request passes before the layers and routes of plugins, outermost first."""
    options = serving.options
    cors = Middleware(CORSMiddleware, allow_origins=options.cors_origins, allow_methods=["*"], allow_headers=["*"])
    return [
        Middleware(Faults),
        Middleware(Health, serving=serving),
        Middleware(Sites, options=options),
        *([cors] if options.cors_origins else []),
        Middleware(Crowd, options=options),
        Middleware(Authentication, serving=serving, public=public),
    ]


def _refuse_taken(own: Sequence[BaseRoute], added: Sequence[BaseRoute]) -> None:
    taken = list(own)
    for route in added:
        path = getattr(route, "path", None)
        if any(path == getattr(other, "path", None) and _share_methods(route, other) for other in taken):
            raise ConfigError(f"a plugin's route has the path {path!r}, which is taken")
        taken.append(route)


def _share_methods(route: BaseRoute, other: BaseRoute) -> bool:
    mine, theirs = (each.methods if isinstance(each, Route) else None for each in (route, other))
    return mine is None or theirs is None or bool(mine & theirs)


async def _http(_: Request, error: Exception) -> Response:
    """What Starlette refuses: an unknown path, a method."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    headers = getattr(error, "headers", None) or {}
    known = {HTTPStatus.NOT_FOUND: NoSuchPath, HTTPStatus.METHOD_NOT_ALLOWED: WrongMethod}.get(HTTPStatus(status))
    answer = refusal(known() if known else InvalidRequest(HTTPStatus(status).phrase))
    answer.status_code = status
    answer.headers.update(headers)
    return answer


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(harmless(error, request.scope["path"]))
