"""The hooks: every place at which a plugin can join in.

A hook implementation takes any subset of the arguments, by name. Those that may be `async` say so; the host awaits them one
after the other, in the order of the plugins' names, and names the plugin in any error. None may be an async generator or a
wrapper: what wraps an executor is a `Policy`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from apflow_hookspecs.engine import Command, Engine
from apflow_hookspecs.errors import Problem
from apflow_hookspecs.executors import ExecutableTask, Policy, TaskContext
from apflow_hookspecs.markers import hookspec
from apflow_hookspecs.operations import Operation
from apflow_hookspecs.storage import StorageScheme
from apflow_hookspecs.task import Event, Json, Task, TaskTree

if TYPE_CHECKING:
    from pluggy import PluginManager

# -- at start ---------------------------------------------------------------------------------------------------------


@hookspec
def apflow_addhooks(host: PluginManager) -> None:
    """Add hooks of your own, for plugins of your plugin.

    When: once, before every other hook. Sync. An exception switches the plugin off.

        @hookimpl
        def apflow_addhooks(host):
            host.add_hookspecs(my_plugin.specs)
    """


@hookspec
def apflow_executors() -> Iterable[ExecutableTask]:
    """Provide executors.

    When: once. Sync. An exception switches the plugin off; an id that another plugin has is refused by both names.

        @executor("shout")
        async def shout(text: str) -> str:
            return text.upper()

        @hookimpl
        def apflow_executors():
            yield shout
    """
    yield from ()


@hookspec
def apflow_policies() -> Iterable[Policy]:
    """Provide policies: what wraps an executor, when a task or the configuration asks for it.

    When: once. Sync. An exception switches the plugin off; a name that another plugin has is refused by both names.

        async def around(call_next, context, options):
            context.log.info("before")
            return await call_next()

        @hookimpl
        def apflow_policies():
            yield Policy("chatty", around)
    """
    yield from ()


@hookspec
def apflow_storages() -> Iterable[StorageScheme]:
    """Provide storages; the scheme of the configured URL selects one.

    When: once. Sync. An exception switches the plugin off; a scheme that another plugin has is refused by both names.

        async def open(url, options):
            return await MyStorage.connect(url, options.durability)

        @hookimpl
        def apflow_storages():
            yield StorageScheme("mystore", open, "Trees in MyStore")
    """
    yield from ()


@hookspec
def apflow_commands() -> Iterable[Command]:
    """Add commands to the `apflow` program.

    When: once per start of the program. Sync; keep it free of imports: the record names what is imported on use.

        @hookimpl
        def apflow_commands():
            yield Command("hello", "Say hello.", "my_plugin.cli:hello")
    """
    yield from ()


@hookspec
def apflow_operations() -> Iterable[Operation]:
    """Add operations to the catalogue: what every front end can ask of the engine.

    When: once. Sync. An exception switches the plugin off; a name that another plugin has is refused by both names, and what
    begins with `tasks.` or `system.` is the host's.

        @operation("greetings.count", scope="read", result=int)
        async def count(engine, caller, params):
            return len(greetings)

        @hookimpl
        def apflow_operations():
            yield count
    """
    yield from ()


@hookspec
def apflow_startup(engine: Engine) -> Awaitable[None] | None:
    """Begin, with an engine that is ready.

    When: once, after the storage was opened. May be async. An exception keeps the engine from opening.

        @hookimpl
        async def apflow_startup(engine):
            await engine.call("tasks.count", {}, Caller.local())
    """


@hookspec
def apflow_shutdown(engine: Engine) -> Awaitable[None] | None:
    """End; the engine still works, but starts nothing more.

    When: once, before the storage is closed. May be async. An exception is logged.

        @hookimpl
        async def apflow_shutdown(engine):
            await client.aclose()
    """


# -- when a tree is created or changed --------------------------------------------------------------------------------


@hookspec
def apflow_validate_task(
    task: Task, executor: ExecutableTask | None, tree: TaskTree
) -> Iterable[Problem] | Awaitable[Iterable[Problem]]:
    """Refuse a task.

    When: for each task, before its tree is stored or changed; `executor` is None for a group and for an unknown executor.
    May be async, and then returns a list. An exception, or no answer in time, refuses the tree.

        @hookimpl
        def apflow_validate_task(task):
            if task.name != task.name.strip():
                yield Problem("must not begin or end with a space", task=task.key, field="name", value=task.name)
    """
    return ()


@hookspec
def apflow_validate_tree(tree: TaskTree) -> Iterable[Problem] | Awaitable[Iterable[Problem]]:
    """Refuse a tree as a whole.

    When: once per tree, after the check of its tasks. May be async, and then returns a list. An exception, or no answer in
    time, refuses the tree.

        @hookimpl
        async def apflow_validate_tree(tree):
            return [Problem(f"at most 100 tasks, and there are {len(tree)}")] if len(tree) > 100 else []
    """
    return ()


# -- around each attempt ----------------------------------------------------------------------------------------------


@hookspec
def apflow_before_execute(
    task: Task, inputs: dict[str, Any], context: TaskContext
) -> dict[str, Any] | Awaitable[dict[str, Any] | None] | None:
    """Change or refuse the inputs of an attempt; each implementation gets what the one before returned.

    When: per attempt, after references were resolved and before secrets are: what is returned may be stored.
    May be async. Return None to leave the inputs as they are. `TaskFailed` fails the task with its own code; any other
    exception, or no answer in time, with `denied`. Since an implementation may add inputs, those that a task lacks are not
    refused when its tree is created; unless each is annotated to return `None`, and so only looks.

        @hookimpl
        def apflow_before_execute(inputs):
            return {**inputs, "region": "eu"} if "region" not in inputs else None
    """


@hookspec
def apflow_resolve_secret(name: str, task: Task, context: TaskContext) -> str | Awaitable[str | None] | None:
    """Give the value of a secret that a task's inputs or params name (`{"$secret": "name"}`).

    When: once per secret of an attempt, before its policies; `context.inputs` are resolved but for secrets. May be async. The
    first value that is not None is used, and the host redacts it wherever it stores or shows something; it has at least six
    characters. `TaskFailed` fails the task in its own words; of any other exception, or no answer in time, only the type is
    told, with the code `denied`.

        @hookimpl
        def apflow_resolve_secret(name):
            return vault.get(name)
    """


@hookspec
def apflow_after_execute(task: Task, result: Json) -> Json | Awaitable[Json]:
    """Change a result before it is checked and stored; each implementation gets what the one before returned.

    When: per attempt that returned. May be async. Return None to leave it as it is. An exception fails the task.

        @hookimpl
        def apflow_after_execute(task, result):
            return {**result, "checked": True} if task.executor == "fetch" else None
    """


# -- after the fact ---------------------------------------------------------------------------------------------------


@hookspec
def apflow_event(event: Event) -> Awaitable[None] | None:
    """Observe what happened.

    When: after each transition was stored. May be async. An exception is logged and counted, and changes nothing; after ten
    in a row the implementation is switched off.

        @hookimpl
        def apflow_event(event):
            if event.type == "tree_settled":
                print(event.tree_id, event.status)
    """
