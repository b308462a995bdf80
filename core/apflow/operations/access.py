"""What a caller may see: the one place that knows whose trees are whose.

A user of this machine and an administrator see everything. Any other caller sees the trees of its own user; all others look
exactly like trees that do not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apflow_hookspecs import Caller, Task, TaskTree
from apflow_hookspecs.errors import NotFound, PermissionDenied

if TYPE_CHECKING:
    from apflow.engine import Engine


def sees_everything(caller: Caller) -> bool:
    """Whether a caller is bound to no user's trees."""
    return caller.origin == "local" or "admin" in caller.scopes


def bound_user(caller: Caller) -> str | None:
    """The user whose trees alone a caller may see and make; None when it may see and make everybody's.

    Raises:
        PermissionDenied: It is bound to its user, and is nobody.
    """
    if sees_everything(caller):
        return None
    if caller.user_id is None:
        raise PermissionDenied("a caller without a user needs the scope 'admin'")
    return caller.user_id


def user_filter(caller: Caller, asked: str | None) -> str | None:
    """The user whose tasks a listing shows, of those that were asked for; None is everybody's.

    Raises:
        PermissionDenied: Another user's were asked for.
    """
    user = bound_user(caller)
    if user is not None and asked not in {None, user}:
        raise PermissionDenied(f"user_id = {asked!r}: without the scope 'admin' a caller sees its own tasks only")
    return user or asked


async def visible_tree(engine: Engine, caller: Caller, task_id: str) -> TaskTree:
    """The tree that holds a task, with all its tasks, live where it runs.

    Raises:
        NotFound: There is no such task, or it is another user's.
    """
    user = bound_user(caller)
    try:
        tree = await engine.tree(task_id)
    except NotFound:
        raise missing(task_id) from None
    if user is not None and tree.user_id != user:
        raise missing(task_id)
    return tree


async def visible_task(engine: Engine, caller: Caller, task_id: str) -> Task:
    """One task as it is stored, without a look at the rest of its tree.

    Raises:
        NotFound: There is no such task, or it is another user's.
    """
    user = bound_user(caller)
    task = await engine.storage.task(task_id)
    if task is None or (user is not None and task.user_id != user):
        raise missing(task_id)
    return task


def missing(task_id: str) -> NotFound:
    """The error for a task that is not there, and for one that is not the caller's."""
    return NotFound(f"there is no task {task_id!r}")
