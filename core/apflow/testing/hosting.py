"""Hosts and engines for tests: discovery off, everything in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from attrs import frozen

from apflow import memory
from apflow.config import Settings
from apflow.engine import Engine, open_engine
from apflow.host import Host
from apflow.validators import Validators
from apflow_hookspecs import EMPTY, ExecutableTask, Policy, hookimpl


@frozen
class Handed:
    """A plugin of values: executors and policies that a test hands over."""

    executors: tuple[ExecutableTask, ...] = ()
    policies: tuple[Policy, ...] = ()

    @hookimpl
    def apflow_executors(self) -> Iterable[ExecutableTask]:
        """The executors."""
        return self.executors

    @hookimpl
    def apflow_policies(self) -> Iterable[Policy]:
        """The policies."""
        return self.policies


def host_of(
    *executors: ExecutableTask,
    policies: Iterable[Policy] = (),
    plugins: Mapping[str, object] = EMPTY,
    hook_timeout: float = 5.0,
) -> Host:
    """A host with the built-in plugins and what is handed over, whatever else is installed.

    Args:
        executors: What the tests' tasks name.
        policies: Likewise.
        plugins: Whole plugins (modules or objects that implement hooks) by name.
        hook_timeout: Seconds.
    """
    handed = Handed(tuple(executors), tuple(policies))
    return Host({"handed": handed, "memory": memory, "validators": Validators(), **plugins}, hook_timeout=hook_timeout)


@asynccontextmanager
async def engine_of(
    *executors: ExecutableTask,
    policies: Iterable[Policy] = (),
    plugins: Mapping[str, object] = EMPTY,
    url: str = "memory:",
    settings: Settings | None = None,
    **options: Any,
) -> AsyncIterator[Engine]:
    """A whole engine for a test, which sees neither the configuration nor the plugins of this machine.

        async with engine_of(greet) as engine:
            tree = await engine.creator.create_task_tree_from_array([{"executor": "greet", "inputs": {"name": "Ada"}}])
            assert (await engine.manager.distribute_task_tree(tree)).status == "completed"

    Args:
        executors: As of `host_of`, and so are the next two.
        policies: Likewise.
        plugins: Likewise.
        url: The storage.
        settings: The whole configuration, in place of the next.
        options: Fields of `Settings` by name; `sections` has the plugins' own.
    """
    settings = settings or Settings(db=url, **options)
    host = host_of(*executors, policies=policies, plugins=plugins, hook_timeout=settings.hook_timeout)
    async with open_engine(host=host, settings=settings) as engine:
        yield engine
