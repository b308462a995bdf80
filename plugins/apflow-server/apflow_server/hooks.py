"""How the hooks of the server are called: one implementation after the other, in the order of the plugins' names."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from apflow_hookspecs import ApflowError, Caller, Engine
from apflow_hookspecs.errors import ConfigError, PermissionDenied
from apflow_server.errors import NoCredential, harmless

if TYPE_CHECKING:
    from pluggy import HookImpl, PluginManager

FOREIGN = (Exception, SystemExit)
"""What code of plugins may raise; only the user ends the process."""

log = logging.getLogger("apflow.server")


class Hooks:
    """Those who join in.

    Args:
        plugins: Who implements the hooks of `apflow_server.specs`.
        timeout: Seconds that one that is awaited may take.
    """

    def __init__(self, plugins: PluginManager, timeout: float) -> None:
        self._plugins = plugins
        self._timeout = timeout
        self._gates = {name: tuple(self._found(name)) for name in ("apflow_authenticate", "apflow_admit")}

    def routes(self, engine: Engine) -> list[BaseRoute]:
        """The routes of plugins.

        Raises:
            ConfigError: A plugin failed.
        """
        return [route for found in self._found("apflow_routes") for route in _collected(found, engine)]

    def middleware(self, engine: Engine) -> list[Middleware]:
        """The middleware of plugins, outermost first; errors as of `routes`."""
        return [layer for found in self._found("apflow_middleware") for layer in _collected(found, engine)]

    async def credentials(self, engine: Engine) -> tuple[str, ...]:
        """Which credentials are configured, in words; errors as of `routes`."""
        told: list[str] = []
        for found in self._found("apflow_credentials"):
            try:
                told += await self._answer(found, engine=engine)
            except FOREIGN as error:
                raise _broken(found, error) from error
        return tuple(told)

    async def authenticate(self, request: HTTPConnection) -> Caller | None:
        """Who makes a request; None where nobody knows.

        Raises:
            NoCredential: A plugin says that its credential does not count, or failed.
            ApflowError: It cannot be told now.
        """
        for found in self._gates["apflow_authenticate"]:
            try:
                caller = await self._answer(found, request=request)
                if caller is not None:
                    return _remote(caller)
            except PermissionDenied as denied:
                raise NoCredential(denied.message) from None
            except ApflowError as error:
                raise harmless(error, "apflow_authenticate") from error
            except FOREIGN as error:
                _denied(found, error)
                raise NoCredential from error
        return None

    async def admit(self, request: HTTPConnection, caller: Caller, operation: str) -> None:
        """Ask whether an operation may run now.

        Raises:
            ApflowError: It may not.
        """
        for found in self._gates["apflow_admit"]:
            try:
                await self._answer(found, request=request, caller=caller, operation=operation)
            except ApflowError as error:
                raise harmless(error, "apflow_admit") from error
            except FOREIGN as error:
                _denied(found, error)
                raise PermissionDenied from error

    def _found(self, hook: str) -> list[HookImpl]:
        return sorted(getattr(self._plugins.hook, hook).get_hookimpls(), key=lambda found: found.plugin_name)

    async def _answer(self, found: HookImpl, **offered: Any) -> Any:
        answer = _called(found, **offered)
        if answer is None or not inspect.isawaitable(answer):
            return answer
        async with asyncio.timeout(self._timeout):
            return await answer


def _called(found: HookImpl, **offered: Any) -> Any:
    return found.function(*(offered[name] for name in found.argnames))


def _collected(found: HookImpl, engine: Engine) -> Iterator[Any]:
    try:
        yield from _called(found, engine=engine) or ()
    except FOREIGN as error:
        raise _broken(found, error) from error


def _remote(caller: Caller) -> Caller:
    """Whatever a plugin says: who comes over HTTP is no user of this machine."""
    if not isinstance(caller, Caller):
        raise TypeError(f"returned {type(caller).__name__} instead of a Caller or None")
    return Caller(caller.user_id, caller.scopes, "remote")


def _broken(found: HookImpl, error: BaseException) -> ConfigError:
    hook = found.function.__name__
    return ConfigError(f"plugin {found.plugin_name!r} failed in {hook}: {type(error).__name__}: {error}")


def _denied(found: HookImpl, error: BaseException) -> None:
    about = {"plugin": found.plugin_name, "hook": found.function.__name__}
    log.error("plugin %r failed in %s, and so the request is denied", *about.values(), exc_info=error, extra=about)
