"""The `tasks.*` operations that only look."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.operations.access import user_filter, visible_task, visible_tree
from apflow.operations.views import (
    EventView,
    NestedTaskView,
    TaskView,
    TreeView,
    event_view,
    nested_view,
    root_view,
    task_view,
    tree_record,
    tree_view,
    whole_view,
)
from apflow_hookspecs import Caller, TaskQuery, TaskStatus, as_instant, operation
from apflow_hookspecs.errors import InvalidParams, NotFound, TooLarge

if TYPE_CHECKING:
    from apflow.engine import Engine

MAX_PAGE = 1000
"""Entries that a remote caller may ask for at once."""

TaskId = Annotated[str, Meta(description="Id of a task; a root's id means the whole tree.")]
Limit = Annotated[int, Meta(ge=1, description=f"At most so many entries; of a remote caller at most {MAX_PAGE}.")]


@frozen
class OneTask:
    """Which task."""

    task_id: TaskId


@frozen
class WholeTree:
    """Which tree, and in what form."""

    task_id: TaskId
    flat: Annotated[bool, Meta(description="The whole tree that holds the task, with its tasks in an array.")] = False


@frozen
class Filter:
    """Which tasks to look at: those to which everything that is given applies."""

    status: Annotated[
        TaskStatus | tuple[TaskStatus, ...] | None, Meta(description="One or several; of roots that of the tree.")
    ] = None
    user_id: Annotated[str | None, Meta(description="Owner.")] = None
    root_only: Annotated[bool, Meta(description="Only roots, one a tree.")] = False
    name: Annotated[str | None, Meta(description="Exact name.")] = None
    context_id: Annotated[str | None, Meta(description="Conversation of the tree.")] = None
    changed_since: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="Only what changed since (RFC 3339).")
    ] = None

    def query(self, caller: Caller, cursor: str | None = None, limit: int = 100) -> TaskQuery:
        """What the storage is asked for, on a caller's behalf."""
        return TaskQuery(
            statuses=None if self.status is None else _strings(self.status),
            user_id=user_filter(caller, self.user_id),
            root_only=self.root_only,
            name=self.name,
            context_id=self.context_id,
            changed_since=None if self.changed_since is None else as_instant(self.changed_since),
            cursor=cursor,
            limit=limit,
        )


@frozen
class Listing(Filter):
    """Which tasks to list, and where the page starts and ends."""

    limit: Limit = 100
    cursor: Annotated[str | None, Meta(description="The cursor of the page before.")] = None


@frozen
class EventsAfter:
    """Which of a tree's events."""

    task_id: Annotated[str, Meta(description="Id of any task of the tree.")]
    after: Annotated[int, Meta(ge=0, description="Only events with a higher number.")] = 0
    limit: Limit = MAX_PAGE


class TaskPage(TypedDict):
    """One page of a listing; the cursor is null on the last."""

    tasks: list[TaskView]
    cursor: str | None
    total: int


class Tasks(TypedDict):
    """Some tasks."""

    tasks: list[TaskView]


class Count(TypedDict):
    """How many tasks there are, in all and of each status that occurs."""

    total: int
    counts: dict[str, int]


class Events(TypedDict):
    """Events in order."""

    events: list[EventView]


@operation("tasks.get", scope="read", params=OneTask, result=TaskView, errors=(NotFound,))
async def get(engine: Engine, caller: Caller, params: OneTask) -> TaskView:
    """One task; a root comes with how its tree stands, a group with how far all that is under it is."""
    task = await visible_task(engine, caller, params.task_id)
    if task.parent_id is not None and not task.is_group:
        return task_view(task)
    tree = await visible_tree(engine, caller, params.task_id)
    return whole_view(tree, tree[task.id])


@operation("tasks.list", scope="read", params=Listing, result=TaskPage)
async def list_tasks(engine: Engine, caller: Caller, params: Listing) -> TaskPage:
    """Tasks, newest tree first, a page at a time; roots come with how their tree stands."""
    _check_page(caller, params.limit)
    page = await engine.storage.find(params.query(caller, params.cursor, params.limit))
    records = {tree_id: tree_record(tree) for tree_id, tree in page.trees.items()}
    return {"tasks": [root_view(task, records.get(task.id)) for task in page.tasks], "cursor": page.cursor, "total": page.total}


@operation("tasks.count", scope="read", params=Filter, result=Count)
async def count(engine: Engine, caller: Caller, params: Filter) -> Count:
    """How many tasks there are, by status."""
    counts = await engine.storage.count(params.query(caller))
    return {"total": sum(counts.values()), "counts": {str(status): number for status, number in counts.items()}}


@operation("tasks.tree", scope="read", params=WholeTree, result=dict[str, Any], errors=(NotFound, TooLarge))
async def tree(engine: Engine, caller: Caller, params: WholeTree) -> NestedTaskView | TreeView:
    """A task with all that is under it, nested; or, with `flat`, its whole tree and the number of the latest event it shows."""
    whole = await visible_tree(engine, caller, params.task_id)
    if params.flat:
        return {**tree_view(whole), "last_event": whole.last_event}
    return nested_view(whole, whole[params.task_id])


@operation("tasks.children", scope="read", params=OneTask, result=Tasks, errors=(NotFound,))
async def children(engine: Engine, caller: Caller, params: OneTask) -> Tasks:
    """The tasks directly under one."""
    await visible_task(engine, caller, params.task_id)
    return {"tasks": [task_view(task) for task in await engine.storage.children(params.task_id)]}


@operation("tasks.events", scope="read", params=EventsAfter, result=Events, errors=(NotFound,))
async def events(engine: Engine, caller: Caller, params: EventsAfter) -> Events:
    """The stored events of the tree that holds a task, in order."""
    _check_page(caller, params.limit)
    task = await visible_task(engine, caller, params.task_id)
    found = await engine.storage.events(task.tree_id, params.after, params.limit)
    return {"events": [event_view(event) for event in found]}


def _check_page(caller: Caller, limit: int) -> None:
    if caller.origin == "remote" and limit > MAX_PAGE:
        raise InvalidParams(f"limit = {limit}: a remote caller may ask for at most {MAX_PAGE} at once; the next ones follow")


def _strings(status: TaskStatus | tuple[TaskStatus, ...]) -> tuple[str, ...]:
    return (status.value,) if isinstance(status, TaskStatus) else tuple(each.value for each in status)


OPERATIONS = (get, list_tasks, count, tree, children, events)
