"""The engine: everything put together. Every front end goes through `open_engine`."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from apflow.config import Settings, load_settings
from apflow.creator import TaskCreator
from apflow.editor import TreeEditor
from apflow.host import Host
from apflow.idempotency import Idempotency
from apflow.keeper import Keeper
from apflow.known import missing_storage
from apflow.manager import TaskManager
from apflow.policies import refuse_misfits
from apflow.recovery import Recovered
from apflow_hookspecs import Caller, Event, ExecutableTask, Json, Storage, StorageOptions, TaskStatus, TaskTree
from apflow_hookspecs.errors import ConfigError

if TYPE_CHECKING:
    from apflow.operations import Catalogue
    from apflow.operations.endpoint import Endpoint

C = TypeVar("C")

LINGER = 5.0
"""Seconds between one look and the next at what is still to be waited for."""


class Engine:
    """A running engine; `open_engine` makes one.

    Attributes:
        host: The plugins.
        settings: The configuration.
        storage: Where trees are kept.
        creator: Makes trees.
        manager: Runs them.
        editor: Changes what has not started, and deletes what does not run.
        idempotency: The keys of requests that are to be carried out once.
        recovered: What an earlier process had left, when the engine was opened.
        endpoint: Where other commands of this machine reach it; None for a storage that nobody else can see.
    """

    def __init__(self, host: Host, settings: Settings, storage: Storage) -> None:
        self.host = host
        self.settings = settings
        self.storage = storage
        self.recovered = Recovered(trees=0, tasks=0)
        self.endpoint: Endpoint | None = None
        owner = f"{os.getpid()}@{socket.gethostname()}"
        self._keeper = Keeper(storage, host, settings, token=secrets.token_hex(16), owner=owner)
        self.manager = TaskManager(self._keeper, settings.drain_timeout)
        self.creator = TaskCreator(host, settings, self.manager)
        self.editor = TreeEditor(self._keeper, self.creator)
        self.idempotency = Idempotency(storage)

    @property
    def executors(self) -> Mapping[str, ExecutableTask]:
        """The executors of all plugins, by id."""
        return self.host.executors

    @cached_property
    def operations(self) -> Catalogue:
        """The catalogue: all that can be called, by name."""
        from apflow.operations import OPERATIONS, Catalogue  # noqa: PLC0415 - a script that runs a tree needs none of it

        return Catalogue([*OPERATIONS, *self.host.operations.values()])

    def describe(self, operation: str) -> dict[str, Json]:
        """An operation as front ends document it: `name`, `summary`, `scope`, `params`, `result` and `errors`.

        Raises:
            UnknownOperation: There is no such operation.
        """
        return self.operations.describe(operation)

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:
        """Run an operation of the catalogue and return its JSON result.

        Raises:
            ApflowError: What the operation refuses.
        """
        return await self.operations.call(self, operation, params, caller)

    async def tree(self, task_id: str) -> TaskTree:
        """The tree that holds a task, as it stands.

        Raises:
            NotFound: There is no such task.
        """
        return await self.manager.tree(task_id)

    async def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on: the stored ones, then live, to the end of its latest run.

        Raises:
            NotFound: There is no such tree.
        """
        tree = await self.manager.tree(tree_id)
        over = tree.run and not tree.open
        if over and after >= tree.last_event:
            return
        async with aclosing(self._keeper.events.watch(tree.id, tree.run, after)) as events:
            async for event in events:
                yield event
                if over and event.seq >= tree.last_event:
                    return  # what was done to it since, after the end of its run

    async def linger(self) -> None:
        """Wait until the trees that run have ended or only wait, and the commands that followed them have left."""
        while running := [tree for tree in self.manager.running() if tree.status is not TaskStatus.WAITING]:
            await self.manager.wait(running[0].id, LINGER)
        if self.endpoint is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await self.endpoint.idle.wait()

    async def drain(self) -> None:
        """Start nothing more, refuse what is new, and give what runs `drain_timeout` seconds to end."""
        await self.manager.drain()

    def plugin(self, name: str) -> object:
        """The module or object that is a plugin: for commands and plugins that belong to it.

        Raises:
            KeyError: There is none of this name, or it is not on.
        """
        return self.host.plugin(name)

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's part of the configuration, structured into its attrs class.

        Raises:
            ConfigError: It does not fit; the message names the key, the value and where it came from.
        """
        return self.settings.section(name, cls)


@asynccontextmanager
async def open_engine(
    url: str | None = None, *, host: Host | None = None, settings: Settings | None = None, served: bool = True, **options: Any
) -> AsyncIterator[Engine]:
    """An engine on a storage, ready to run trees; closed at the end of the block.

        async with open_engine("sqlite:///flow.db", max_concurrency=8) as engine:
            tree = await engine.creator.create_task_tree_from_array(tasks)
            done = await engine.manager.distribute_task_tree(tree)

    Args:
        url: The storage: `sqlite:///flow.db`, `memory:`, a path. By default what the configuration says.
        host: The plugins; by default the installed ones.
        settings: The whole configuration, in place of url and options; by default `apflow.toml` and the environment,
            overridden by the options.
        served: Whether the other commands of this machine may work through it, and have trees run here, where the storage lets
            them. One that is closed in a moment is better waited for.
        options: Settings by name, as in `apflow.toml`.

    Raises:
        ConfigError: The configuration does not fit, plugins conflict, or no plugin provides the storage or a configured policy.
        StorageUnavailable: The storage cannot be used.
    """
    if settings is not None and (url is not None or options):
        raise TypeError("give the settings, or the url and options that make them")
    if settings is None:
        settings = load_settings(options=options if url is None else {**options, "db": url})
    if host is None:
        chosen = settings.plugins
        host = Host.discover(chosen.allow, chosen.block, strict=chosen.strict, hook_timeout=settings.hook_timeout)
    for conflict in host.conflicts:
        raise conflict
    if settings.policies or settings.executor_policies:
        refuse_misfits(host, settings)
    storage = await open_storage(host, settings)
    try:
        engine = Engine(host, settings, storage)
        try:
            engine.recovered = await engine.manager.recover()
            await host.startup(engine)
            try:
                async with _serving(engine, served=served):
                    yield engine
            finally:
                engine.manager.hold()
                await host.shutdown(engine, settings.drain_timeout)
        finally:
            await engine.manager.close()
    finally:
        await storage.close()


@asynccontextmanager
async def _serving(engine: Engine, *, served: bool) -> AsyncIterator[None]:
    if engine.storage.endpoint is None or not served:
        yield
        return
    from apflow.operations.endpoint import serving  # noqa: PLC0415 - a script on `memory:` needs none of it

    async with serving(engine, engine.storage.endpoint) as engine.endpoint:
        yield


async def open_storage(host: Host, settings: Settings, *, read_only: bool = False) -> Storage:
    """Open the storage alone, for those who look after it; `read_only` neither owns nor changes it.

    Raises:
        ConfigError: No plugin provides it.
        StorageUnavailable: It cannot be used.
    """
    scheme, _, _ = settings.db.partition(":")
    provided = host.storages.get(scheme)
    if provided is None:
        raise ConfigError(missing_storage(scheme, host))
    options = StorageOptions(durability=settings.durability, read_only=read_only, section=settings.table(scheme))
    return await provided.open(settings.db, options)


def run(tasks: Sequence[Mapping[str, Any]], url: str = "memory:", **options: Any) -> TaskTree:
    """Create and run a tree, for scripts: opens an engine, runs the tree to its end, closes.

    Args:
        tasks: As for `TaskCreator.create_task_tree_from_array`; ids are made anew, and stay as keys.
        url: The storage; by default nothing outlives the call.
        options: As for `open_engine`.

    Returns:
        The settled tree.
    """

    async def _run() -> TaskTree:
        async with open_engine(url, **options) as engine:
            tree = await engine.creator.create_task_tree_from_array(tasks, fresh_ids=True)
            return await engine.manager.distribute_task_tree(tree)

    return asyncio.run(_run())
