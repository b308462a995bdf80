"""Requests that leave apflow, kept from where they must not go: a guarded transport for httpx.

What a plugin uses instead of plain httpx:

    guard = Guard(engine.section("guard", GuardOptions))
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", url))
        body = await response.aread()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from apflow_hookspecs import Engine, hookimpl

if TYPE_CHECKING:
    from apflow_guard.guard import Guard
    from apflow_guard.options import GuardOptions
    from apflow_guard.refusals import Refused, TooLong, TooMuch

__all__ = ["Guard", "GuardOptions", "Refused", "TooLong", "TooMuch"]

_MODULES = {"Guard": "guard", "GuardOptions": "options", "Refused": "refusals", "TooLong": "refusals", "TooMuch": "refusals"}


def __getattr__(name: str) -> Any:
    """A name of the package; its module is imported now, for most starts of apflow need none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


@hookimpl
def apflow_startup(engine: Engine) -> None:
    """Check `[guard]`, so that what does not fit is told before the first request."""
    from apflow_guard.options import GuardOptions  # noqa: PLC0415 - a plugin is imported at every start

    engine.section("guard", GuardOptions)
