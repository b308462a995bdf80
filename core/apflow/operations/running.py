"""The `tasks.running.*` operations and `tasks.resume`: what this engine runs at the moment, and what it goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.operations.access import sees_everything, user_filter, visible_tree
from apflow.operations.reading import Tasks
from apflow.operations.views import root_view, tree_state
from apflow_hookspecs import Caller, TaskTree, operation
from apflow_hookspecs.errors import InvalidParams, InvalidTransition, NotFound

if TYPE_CHECKING:
    from apflow.engine import Engine


@frozen
class Owner:
    """Whose."""

    user_id: Annotated[str | None, Meta(description="Owner of the tree.")] = None


@frozen
class TaskIds:
    """Which tasks."""

    task_ids: Annotated[list[str], Meta(description="Ids of the tasks.", max_length=1000)]


class RunningCount(TypedDict):
    """How many trees run."""

    total: int


class Standing(TypedDict):
    """Where one task stands, and whether its tree runs."""

    task_id: str
    status: str
    progress: float
    running: bool


class Standings(TypedDict):
    """Where tasks stand, in the order asked for."""

    tasks: list[Standing]


@operation("tasks.running.list", scope="read", params=Owner, result=Tasks)
async def running(engine: Engine, caller: Caller, params: Owner) -> Tasks:
    """The roots of the trees that run."""
    trees = _running(engine, caller, params.user_id)
    return {"tasks": [root_view(tree.root, tree_state(tree)) for tree in trees]}


@operation("tasks.running.count", scope="read", params=Owner, result=RunningCount)
async def running_count(engine: Engine, caller: Caller, params: Owner) -> RunningCount:
    """How many trees run."""
    return {"total": len(_running(engine, caller, params.user_id))}


@operation("tasks.running.status", scope="read", params=TaskIds, result=Standings, errors=(NotFound,))
async def running_status(engine: Engine, caller: Caller, params: TaskIds) -> Standings:
    """Where tasks stand, and whether their trees run."""
    live = {tree.id for tree in engine.manager.running()}
    return {"tasks": [await _standing(engine, caller, task_id, live) for task_id in params.task_ids]}


async def _standing(engine: Engine, caller: Caller, task_id: str, live: set[str]) -> Standing:
    tree = await visible_tree(engine, caller, task_id)
    task = tree[task_id]
    return {"task_id": task_id, "status": task.status.value, "progress": task.progress, "running": tree.id in live}


def _running(engine: Engine, caller: Caller, asked: str | None) -> list[TaskTree]:
    user = user_filter(caller, asked)
    return [tree for tree in engine.manager.running() if user is None or tree.user_id == user]


@frozen
class OpenTree:
    """A tree whose execution was requested and has not ended."""

    task_id: Annotated[str, Meta(description="Id of the tree, which is its root's; without it, all such trees.")] | None = None


@operation("tasks.resume", scope="submit", params=OpenTree, result=Tasks, errors=(NotFound, InvalidTransition))
async def resume(engine: Engine, caller: Caller, params: OpenTree) -> Tasks:
    """Go on with what an earlier process was asked to run; the roots of the trees that run now."""
    if params.task_id is not None:
        await visible_tree(engine, caller, params.task_id)
    elif not sees_everything(caller):
        raise InvalidParams("tasks.resume needs task_id; only an administrator may resume all trees")
    trees = await engine.manager.resume(params.task_id)
    return {"tasks": [root_view(tree.root, tree_state(tree)) for tree in trees]}


OPERATIONS = (running, running_count, running_status, resume)
