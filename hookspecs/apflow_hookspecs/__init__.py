"""The contract between apflow and its plugins.

A plugin is a distribution with an entry point in the group `apflow`, whose value is a module that implements hooks, or a
class of which each host makes an instance, for a plugin that has state. A whole one:

    # pyproject.toml
    [project]
    name = "apflow-greet"
    version = "1.0"
    dependencies = ["apflow-hookspecs>=1.0.0.dev1,<2"]

    [project.entry-points.apflow]
    greet = "apflow_greet"

    # apflow_greet.py
    from apflow_hookspecs import executor, hookimpl

    @executor("greet", summary="Greet somebody")
    async def greet(name: str) -> dict:
        return {"text": f"Hello {name}"}

    @hookimpl
    def apflow_executors():
        yield greet

Installed beside apflow, it is found by itself: `apflow executors list` shows `greet`, and a task with
`{"executor": "greet", "inputs": {"name": "Ada"}}` runs it.

What there is to implement stands in `apflow_hookspecs.specs`, hook by hook with an example each; executors and policies in
`apflow_hookspecs.executors`; tasks, trees and events in `apflow_hookspecs.task`; errors and problems in
`apflow_hookspecs.errors`; a storage in `apflow_hookspecs.storage`; what a server is handed in `apflow_hookspecs.engine`;
operations in `apflow_hookspecs.operations`.
Import the names from here. Keep the top of a plugin's package light: it is imported at every start, so heavy libraries belong
inside the executor, the command or the route that needs them.
"""

from apflow_hookspecs import errors, specs
from apflow_hookspecs.engine import SCOPES, Caller, Command, Engine
from apflow_hookspecs.errors import ApflowError, Problem, TaskFailed
from apflow_hookspecs.executors import (
    CallNext,
    ExecutableTask,
    FunctionExecutor,
    Lost,
    OnCrash,
    Policy,
    Retry,
    TaskContext,
    executor,
)
from apflow_hookspecs.markers import PROJECT, hookimpl, hookspec
from apflow_hookspecs.operations import NoParams, Operation, operation
from apflow_hookspecs.storage import (
    Attempt,
    Batch,
    Change,
    Committed,
    Page,
    Record,
    RecordWrite,
    Storage,
    StorageOptions,
    StorageScheme,
    TaskQuery,
)
from apflow_hookspecs.task import (
    EMPTY,
    MAX_INSTANT,
    SETTLED,
    Dependency,
    Event,
    EventType,
    Json,
    Task,
    TaskStatus,
    TaskTree,
    Wait,
    as_datetime,
    as_instant,
    rfc3339,
)

__all__ = [
    "EMPTY", "MAX_INSTANT", "PROJECT", "SCOPES", "SETTLED",
    "ApflowError", "Attempt", "Batch", "CallNext", "Caller", "Change", "Command", "Committed", "Dependency", "Engine", "Event",
    "EventType", "ExecutableTask", "FunctionExecutor", "Json", "Lost", "NoParams", "OnCrash", "Operation", "Page", "Policy",
    "Problem", "Record", "RecordWrite", "Retry", "Storage", "StorageOptions", "StorageScheme", "Task", "TaskContext",
    "TaskFailed", "TaskQuery", "TaskStatus", "TaskTree", "Wait",
    "as_datetime", "as_instant", "errors", "executor", "hookimpl", "hookspec", "operation", "rfc3339", "specs",
]  # fmt: skip
