"""The application: routes, and what stands before them."""

from __future__ import annotations

from pluggy import PluginManager
from starlette.applications import Starlette
from starlette.middleware import Middleware

from apflow_hookspecs import Engine
from apflow_server import Server
from apflow_server.hooks import Hooks
from apflow_server.layers import Authentication, Faults
from apflow_server.options import Options
from apflow_server.rpc import rpc_routes
from apflow_server.state import Serving

__all__ = ["Server", "application"]


def application(engine: Engine, host: PluginManager, options: Options) -> Starlette:
    """The server of an engine as an ASGI application; `await app.state.server.start()` before it is used.

    Args:
        engine: What is served.
        host: Who implements the hooks of the server.
        options: What the operator set.

    Raises:
        ConfigError: A plugin failed.
    """
    hooks = Hooks(host, options.hook_timeout)
    serving = Serving(engine, hooks, options)
    layers = [Middleware(Faults), Middleware(Authentication, serving=serving), *hooks.middleware(engine)]
    app = Starlette(routes=[*rpc_routes(), *hooks.routes(engine)], middleware=layers)
    app.router.redirect_slashes = False
    app.state.engine, app.state.server = engine, serving
    return app
