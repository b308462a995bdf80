"""The `system.*` operations: how the engine is, and what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.operations.access import bound_user, sees_everything
from apflow.operations.describe import ExampleTask, example_task, executor_schema, output_schema
from apflow.plugins import PluginInfo, PluginState
from apflow_hookspecs import Caller, NoParams, TaskQuery, operation
from apflow_hookspecs.errors import InvalidParams, PermissionDenied, StorageUnavailable

if TYPE_CHECKING:
    from apflow.engine import Engine


class PluginView(TypedDict):
    """A plugin; `reason` says in one line why it is not on, or what is wrong although it is."""

    name: str
    state: str
    reason: str | None
    distribution: str | None
    version: str | None
    target: str | None
    location: str | None
    hooks: list[str]
    failures: int


class PluginOff(TypedDict):
    """A plugin that is broken, and why."""

    name: str
    reason: str | None


class Health(TypedDict):
    """Whether everything works; the storage's facts are for administrators.

    A storage that does not answer, a broken plugin, or more attempts that were `abandoned` than `max_abandoned` make it
    `degraded`.
    """

    status: Literal["ok", "degraded"]
    storage: dict[str, Any]
    plugins_off: list[PluginOff]
    abandoned: int
    max_abandoned: int


class ExecutorView(TypedDict):
    """An executor, with JSON Schemas of what it takes and gives, and a task to start from."""

    id: str
    summary: str
    plugin: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    example: ExampleTask


class Executors(TypedDict):
    """The executors by id."""

    executors: list[ExecutorView]


class Plugins(TypedDict):
    """The plugins by name, whatever became of them."""

    plugins: list[PluginView]


class Stats(TypedDict):
    """How much there is and how much runs, as far as the caller sees it."""

    tasks: dict[str, int]
    trees_running: int
    tasks_running: int


@operation("system.health", scope="read", params=NoParams, result=Health)
async def health(engine: Engine, caller: Caller, _: NoParams) -> Health:
    """Whether the storage and the plugins work."""
    storage = await _storage_health(engine, facts=sees_everything(caller))
    off: list[PluginOff] = [
        {"name": plugin.name, "reason": plugin.reason} for plugin in engine.host.plugins if plugin.state is PluginState.OFF
    ]
    abandoned, most = engine.manager.abandoned, engine.settings.max_abandoned
    well = storage["status"] == "ok" and not off and abandoned <= most
    return {
        "status": "ok" if well else "degraded", "storage": storage, "plugins_off": off,
        "abandoned": abandoned, "max_abandoned": most,
    }  # fmt: skip


@operation("system.executors", scope="read", params=NoParams, result=Executors)
async def executors(engine: Engine, _caller: Caller, _: NoParams) -> Executors:
    """The executors of all plugins, with input schema and an example task each."""
    found: list[ExecutorView] = [
        {
            "id": executor.id,
            "summary": getattr(executor, "summary", None) or "",
            "plugin": engine.host.provider("executor", executor.id).name,
            "input_schema": executor_schema(executor),
            "output_schema": output_schema(executor),
            "example": example_task(executor),
        }
        for _id, executor in sorted(engine.executors.items())
    ]
    return {"executors": found}


@operation("system.plugins", scope="read", params=NoParams, result=Plugins)
async def plugins(engine: Engine, caller: Caller, _: NoParams) -> Plugins:
    """The installed plugins, what they implement, and why one is not on."""
    return {"plugins": [_plugin(plugin, where=sees_everything(caller)) for plugin in engine.host.plugins]}


@operation("system.stats", scope="read", params=NoParams, result=Stats)
async def stats(engine: Engine, caller: Caller, _: NoParams) -> Stats:
    """How many tasks there are, by status, and how much runs."""
    user = bound_user(caller)
    counts = await engine.storage.count(TaskQuery(user_id=user))
    trees = [tree for tree in engine.manager.running() if user is None or tree.user_id == user]
    running = sum(task.status == "in_progress" and not task.is_group for tree in trees for task in tree)
    return {
        "tasks": {str(status): number for status, number in counts.items()},
        "trees_running": len(trees),
        "tasks_running": running,
    }


@frozen
class Target:
    """Where a copy is written to."""

    target: Annotated[str, Meta(min_length=1, description="Absolute path of a file that is not there yet.")]


class BackedUp(TypedDict):
    """Where the copy is."""

    target: str


@operation("system.backup", scope="admin", params=Target, result=BackedUp, errors=(StorageUnavailable, InvalidParams))
async def backup(engine: Engine, caller: Caller, params: Target) -> BackedUp:
    """Write a consistent copy of the storage to a file of this machine, while everything goes on."""
    if caller.origin != "local":
        raise PermissionDenied("system.backup writes to a file of this machine, which only its own users may have it do")
    if not Path(params.target).is_absolute():
        raise InvalidParams(f"target = {params.target!r}: has to be an absolute path")
    await engine.storage.backup(params.target)
    return {"target": params.target}


async def _storage_health(engine: Engine, *, facts: bool) -> dict[str, Any]:
    try:
        if facts:
            return {"status": "ok", **await engine.storage.info()}
        await engine.storage.existing([])
    except StorageUnavailable as error:
        return {"status": "unavailable", "reason": error.message}
    return {"status": "ok"}


def _plugin(plugin: PluginInfo, *, where: bool) -> PluginView:
    return {
        "name": plugin.name,
        "state": plugin.state.value,
        "reason": plugin.reason,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "target": plugin.target,
        "location": plugin.location if where else None,
        "hooks": list(plugin.hooks),
        "failures": plugin.failures,
    }


OPERATIONS = (health, executors, plugins, stats, backup)
