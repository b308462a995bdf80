"""A policy for apflow that limits how many tasks run at once, and how many in a time."""

from __future__ import annotations

from collections.abc import Iterator

from apflow_hookspecs import Policy, hookimpl


class Limiter:
    """The plugin, one for each host."""

    @hookimpl
    def apflow_policies(self) -> Iterator[Policy]:
        """Provide the policy."""
        from apflow_limit.limiting import Limiting  # noqa: PLC0415 - a plugin is imported at every start

        yield Limiting().policy
