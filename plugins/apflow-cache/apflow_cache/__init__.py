"""A policy for apflow that reuses the results of equal tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apflow_hookspecs import Engine, Policy, hookimpl

if TYPE_CHECKING:
    from apflow_cache.caching import Caching


class Cache:
    """The plugin, one for each host."""

    def __init__(self) -> None:
        self._made: Caching | None = None

    def _caching(self) -> Caching:
        # Not a property: pluggy looks at every attribute of a plugin.
        if self._made is None:
            from apflow_cache.caching import Caching  # noqa: PLC0415 - a plugin is imported at every start

            self._made = Caching()
        return self._made

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Read the section `[cache]`."""
        self._caching().begin(engine)

    @hookimpl
    def apflow_policies(self) -> Iterator[Policy]:
        """Provide the policy."""
        yield self._caching().policy
