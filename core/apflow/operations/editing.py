"""The `tasks.*` operations that change and delete what is stored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.operations.access import bound_user, visible_tree
from apflow.operations.reading import TaskId, Tasks
from apflow.operations.views import TreeState, task_view, tree_state
from apflow.operations.writing import MALFORMED
from apflow_hookspecs import Caller, operation
from apflow_hookspecs.errors import CannotDelete, InvalidTransition, InvalidTree, NotFound
from apflow_hookspecs.operations import Params

if TYPE_CHECKING:
    from apflow.engine import Engine

IncludeDependents = Annotated[bool, Meta(description="What depends on the part belongs to it.")]
AllowPartial = Annotated[bool, Meta(description="What depends on the part is left out.")]


@frozen
class Deletion:
    """What to delete."""

    task_id: Annotated[str, Meta(description="Id of the task, which goes with all that is under it; a root's means the tree.")]
    include_dependents: IncludeDependents = False
    allow_partial: AllowPartial = False


@frozen
class Update:
    """Which author's fields of a task to replace, by name; they may also stand beside the other parameters."""

    task_id: TaskId
    fields: Annotated[dict[str, Any], Meta(description="The fields that change, as an author writes them.")]
    include_dependents: IncludeDependents = False
    allow_partial: AllowPartial = False


@frozen
class Archiving:
    """Which tree."""

    task_id: Annotated[str, Meta(description="Id of the tree, which is its root's.")]
    undo: Annotated[bool, Meta(description="Take it out of the archive.")] = False


@frozen
class Retention:
    """Which trees to delete."""

    older_than: Annotated[float, Meta(ge=0, description="Seconds since they settled, and since they last changed.")]
    dry_run: Annotated[bool, Meta(description="Only count them.")] = False


class Deleted(TypedDict):
    """How many tasks were deleted; of a part of a tree also their keys."""

    deleted: int
    keys: NotRequired[list[str]]


class Purged(TypedDict):
    """How many trees were deleted, or would be."""

    trees: int


def as_fields(params: Params) -> Params:
    """Fields that stand beside the other parameters, gathered under `fields`."""
    if not isinstance(params, Mapping) or "fields" in params:
        return params
    own = {"task_id", "include_dependents", "allow_partial"}
    given = {name: value for name, value in params.items() if name not in own}
    return {**{name: params[name] for name in own & params.keys()}, **({"fields": given} if given else {})}


@operation("tasks.delete", scope="submit", params=Deletion, result=Deleted, errors=(NotFound, CannotDelete, *MALFORMED))
async def delete(engine: Engine, caller: Caller, params: Deletion) -> Deleted:
    """Delete a tree that does not run, or a pending part of one."""
    await visible_tree(engine, caller, params.task_id)
    deleted = await engine.editor.delete(
        params.task_id, include_dependents=params.include_dependents, allow_partial=params.allow_partial
    )
    answer: Deleted = {"deleted": len(deleted)}
    if all(task.parent_id is not None for task in deleted):
        answer["keys"] = [task.key for task in deleted]
    return answer


@operation(
    "tasks.update",
    scope="submit",
    params=Update,
    result=Tasks,
    errors=(NotFound, CannotDelete, InvalidTransition, *MALFORMED),
    arrange=as_fields,
)
async def update(engine: Engine, caller: Caller, params: Update) -> Tasks:
    """Replace author's fields of a pending task, through the checks of its creation; its name at any time.

    Whoever changes what a task depends on says what becomes of its dependents: they are checked and answered with it, or left.
    """
    await visible_tree(engine, caller, params.task_id)
    changed = await engine.editor.update(
        params.task_id,
        params.fields,
        include_dependents=params.include_dependents,
        allow_partial=params.allow_partial,
        actor=caller.user_id,
    )
    return {"tasks": [task_view(task) for task in changed]}


@operation(
    "tasks.archive", scope="submit", params=Archiving, result=TreeState, errors=(NotFound, InvalidTransition, InvalidTree)
)
async def archive(engine: Engine, caller: Caller, params: Archiving) -> TreeState:
    """Freeze a settled tree: it cannot be changed, deleted or run again, only copied."""
    await visible_tree(engine, caller, params.task_id)
    return tree_state(await engine.editor.archive(params.task_id, undo=params.undo, actor=caller.user_id))


@operation("tasks.purge", scope="submit", params=Retention, result=Purged)
async def purge(engine: Engine, caller: Caller, params: Retention) -> Purged:
    """Delete the trees that settled some time ago and have not changed since; archived ones stay."""
    now = time.time_ns() // 1000
    before = now - int(min(params.older_than * 1_000_000, now))
    purged = await engine.editor.purge(before, user_id=bound_user(caller), dry_run=params.dry_run)
    if not params.dry_run:
        await engine.idempotency.sweep()
    return {"trees": purged}


OPERATIONS = (delete, update, archive, purge)
