"""A policy for apflow that reuses the results of equal tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from apflow_hookspecs import Engine, Policy, hookimpl

if TYPE_CHECKING:
    from apflow_cache.caching import Caching


class Cache:
    """The plugin, one for each host."""

    @cached_property
    def _caching(self) -> Caching:
        from apflow_cache.caching import Caching  # noqa: PLC0415 - a plugin is imported at every start

        return Caching()

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Read the section `[cache]`."""
        self._caching.begin(engine)

    @hookimpl
    def apflow_policies(self) -> Iterator[Policy]:
        """Provide the policy."""
        yield self._caching.policy
