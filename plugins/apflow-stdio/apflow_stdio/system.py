"""`system_info_executor`: facts about processor, memory and disk of this machine."""

from __future__ import annotations

from typing import Final, Literal, get_args

from apflow_hookspecs import Json, Problem, Task, TaskContext, TaskFailed, executor
from apflow_hookspecs.errors import PermissionDenied

Resource = Literal["cpu", "memory", "disk", "all"]
ROOT: Final = "/"


@executor("system_info_executor", summary="Tell about processor, memory and disk of this machine")
async def system_info(
    context: TaskContext,
    resource: Resource = "all",
    timeout: float = 30,  # noqa: ASYNC109 - an input of the task
    path: str = ROOT,
) -> dict[str, Json]:
    """Gather the facts of one resource, or of all by their names.

    Args:
        context: The attempt.
        resource: What to tell about.
        timeout: Seconds it may take; a disk that is not there may never answer.
        path: A path on the disk; trees from outside may only have the root's.

    Raises:
        TaskFailed: `bad_input`, `denied`, `timeout`, or `failed` where the path cannot be asked.
    """
    if path != ROOT and context.origin != "local":
        raise TaskFailed(f"inputs.path = {path!r}: may only be / for callers from outside", error="denied")
    if resource not in get_args(Resource):
        raise TaskFailed(f"inputs.resource = {resource!r}: must be one of {', '.join(get_args(Resource))}", error="bad_input")
    import asyncio  # noqa: PLC0415 - a plugin is imported at every start, and few starts ask for facts

    try:
        async with asyncio.timeout(timeout):
            return await asyncio.to_thread(_gather, resource, path)
    except TimeoutError:
        raise TaskFailed(f"the machine did not answer within {timeout:g} s", error="timeout") from None
    except OSError as error:
        raise TaskFailed(f"the disk of {path!r} cannot be asked: {error.strerror}") from error


def path_problems(task: Task, origin: str) -> list[Problem]:
    """Refuse a path of a tree that came from outside."""
    path = task.inputs.get("path", ROOT)
    if origin == "local" or path == ROOT:
        return []
    rule = "may only be / for callers from outside"
    return [Problem(rule, task=task.key, field="inputs.path", value=path, code=PermissionDenied.code)]


def _gather(resource: str, path: str) -> dict[str, Json]:
    from apflow_stdio.facts import gather  # noqa: PLC0415 - psutil loads on use

    return gather(resource, path)
