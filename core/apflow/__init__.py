"""apflow: a host for plugins that runs trees of tasks.

    from apflow import open_engine

    async with open_engine("sqlite:///flow.db") as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        done = await engine.manager.distribute_task_tree(tree)

`apflow.run(tasks)` is the same for scripts. What plugins are written against is `apflow_hookspecs`.

The way of a task is also the order to read the modules in: `creator` (with `fields`, `tree`, `plan`) → `manager`, `keeper` →
`schedule` → `runner` (with `calls`, `references`, `values`) → `transitions` → `journal` → a storage → `events`, and back to
`schedule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apflow.creator import TaskCreator
    from apflow.engine import Engine, open_engine, run
    from apflow.manager import TaskManager
    from apflow_hookspecs import ExecutableTask, Task, TaskStatus, TaskTree

__version__ = "1.0.0.dev1"

_HOME = {
    "Engine": "apflow.engine",
    "open_engine": "apflow.engine",
    "run": "apflow.engine",
    "TaskCreator": "apflow.creator",
    "TaskManager": "apflow.manager",
    "ExecutableTask": "apflow_hookspecs",
    "Task": "apflow_hookspecs",
    "TaskStatus": "apflow_hookspecs",
    "TaskTree": "apflow_hookspecs",
}

__all__ = [
    "Engine",
    "ExecutableTask",
    "Task",
    "TaskCreator",
    "TaskManager",
    "TaskStatus",
    "TaskTree",
    "__version__",
    "open_engine",
    "run",
]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first used: `apflow --help` needs none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'apflow' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as said above

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value
