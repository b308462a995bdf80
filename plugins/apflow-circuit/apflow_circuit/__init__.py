"""A circuit breaker as a policy for apflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apflow_hookspecs import Engine, Policy, hookimpl

if TYPE_CHECKING:
    from apflow_circuit.breaking import Breaking


class CircuitBreaker:
    """The plugin, one for each host."""

    def __init__(self) -> None:
        self._made: Breaking | None = None

    def _breaking(self) -> Breaking:
        # Not a property: pluggy looks at every attribute of a plugin.
        if self._made is None:
            from apflow_circuit.breaking import Breaking  # noqa: PLC0415 - a plugin is imported at every start

            self._made = Breaking()
        return self._made

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Keep the circuits in the engine's storage."""
        self._breaking().begin(engine)

    @hookimpl
    def apflow_policies(self) -> Iterator[Policy]:
        """Provide the policy."""
        yield self._breaking().policy
