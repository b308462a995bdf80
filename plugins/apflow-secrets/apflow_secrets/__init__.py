"""Secrets for apflow: named in tasks, kept outside of them.

What an operator says about them stands in `apflow_secrets.options`, who may have one in `apflow_secrets.grants`, and where its
value comes from in `apflow_secrets.values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from apflow_hookspecs import Command, Engine, Problem, Task, TaskContext, TaskTree, hookimpl

if TYPE_CHECKING:
    from apflow_secrets.grants import Grants


class Secrets:
    """The plugin, one for each host. It keeps no values: each attempt has them read again."""

    def __init__(self) -> None:
        self._grants: Grants | None = None

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Read the section `[secrets]`."""
        from apflow_secrets.grants import Grants  # noqa: PLC0415 - a plugin is imported at every start
        from apflow_secrets.options import Options  # noqa: PLC0415

        options = engine.section("secrets", Options)
        self._grants = Grants(options.known, options.exclusive)

    @hookimpl
    def apflow_validate_task(self, task: Task, tree: TaskTree) -> Iterable[Problem]:
        """Refuse names of secrets that the task may not have."""
        return () if self._grants is None else self._grants.problems(task, tree.origin)

    @hookimpl
    async def apflow_resolve_secret(self, name: str, task: Task, context: TaskContext) -> str | None:
        """Read a secret for an attempt that may have it."""
        if self._grants is None or not self._grants.concern(name):
            return None
        return await self._grants.value(name, task, context)

    @hookimpl
    def apflow_commands(self) -> Iterator[Command]:
        """Provide `apflow secrets`."""
        yield Command("secrets", "Show the secrets that tasks may name, never their values.", "apflow_secrets.command:secrets")
