"""A rate limit for the server of apflow: requests per user or address, and per operation.

It stands on the hooks of `apflow_server`, and does nothing where that is not installed. What an operator may set is in
`apflow_ratelimit.options`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apflow_hookspecs import Caller, Engine, hookimpl

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.requests import HTTPConnection

    from apflow_ratelimit.limiting import Limiting


class RateLimit:
    """The plugin, one for each host."""

    def __init__(self) -> None:
        self._limiting: Limiting | None = None

    @hookimpl(optionalhook=True)
    def apflow_middleware(self, engine: Engine) -> Iterator[Middleware]:
        """Read `[ratelimit]`, and count each request before it is looked at any further."""
        from starlette.middleware import Middleware  # noqa: PLC0415 - a plugin is imported at every start

        from apflow_ratelimit.limiting import Limiting  # noqa: PLC0415
        from apflow_ratelimit.middleware import Counted  # noqa: PLC0415
        from apflow_ratelimit.options import Options  # noqa: PLC0415

        self._limiting = Limiting(engine.section("ratelimit", Options), engine.operations)
        yield Middleware(Counted, limiting=self._limiting)

    @hookimpl(optionalhook=True)
    async def apflow_admit(self, request: HTTPConnection, caller: Caller, operation: str) -> None:
        """Count an operation, and refuse it where there were too many."""
        if self._limiting is not None:
            await self._limiting.admit(request, caller, operation)

    @hookimpl
    async def apflow_shutdown(self) -> None:
        """Close the connections to the storage of the counts."""
        if self._limiting is not None:
            await self._limiting.aclose()
