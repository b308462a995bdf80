"""Executors that run commands of this machine and tell facts about it.

`command_executor` runs a program without a shell and ends it with every process that it started; `system_info_executor` tells
about processor, memory and disk. What an operator may set stands in `apflow_stdio.options`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apflow_hookspecs import Engine, ExecutableTask, Problem, Task, TaskTree, hookimpl
from apflow_stdio.command import CommandExecutor
from apflow_stdio.options import Options
from apflow_stdio.system import path_problems, system_info


@hookimpl
def apflow_executors() -> Iterator[ExecutableTask]:
    """Provide the executors; the command executor is a new one for each host, since it holds what the operator allows."""
    yield CommandExecutor()
    yield system_info


@hookimpl
def apflow_startup(engine: Engine) -> None:
    """Hand the section `[stdio]` to the command executor; until then it knows no command for callers from outside."""
    executor = engine.executors.get(CommandExecutor.id)
    if isinstance(executor, CommandExecutor):
        executor.options = engine.section("stdio", Options)


@hookimpl
def apflow_validate_task(task: Task, executor: ExecutableTask | None, tree: TaskTree) -> Iterable[Problem]:
    """Refuse what could not run, or may not run for callers from outside."""
    if isinstance(executor, CommandExecutor):
        return list(executor.problems(task, tree.origin))
    if executor is system_info:
        return path_problems(task, tree.origin)
    return ()
