"""The `tasks.*` operations that make trees, run them and end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from attrs import frozen
from msgspec import Meta

from apflow import fields
from apflow.idempotency import Claim
from apflow.operations.access import bound_user, visible_tree
from apflow.operations.reading import TaskId, Tasks
from apflow.operations.views import TaskView, TreeView, task_view, tree_view
from apflow_hookspecs import SETTLED, Caller, Problem, RecordWrite, Task, TaskQuery, TaskStatus, operation
from apflow_hookspecs.errors import (
    AlreadyExecuting,
    CannotDelete,
    CircularDependency,
    ExecutorNotFound,
    IdempotencyConflict,
    InvalidDependency,
    InvalidParams,
    InvalidParent,
    InvalidTask,
    InvalidTransition,
    InvalidTree,
    NotFound,
    Overloaded,
    PermissionDenied,
    TooLarge,
    WrongAnswer,
)
from apflow_hookspecs.operations import Params

if TYPE_CHECKING:
    from apflow.engine import Engine
    from apflow.tree import Draft

_OPEN = tuple(status.value for status in TaskStatus if status not in SETTLED)
MALFORMED = (
    InvalidTask, InvalidTree, InvalidParent, InvalidDependency, CircularDependency, ExecutorNotFound, TooLarge,
)  # fmt: skip
"""What the builder and the validators refuse."""

AuthorsTasks = Annotated[
    list[Any],
    Meta(description="Flat array of the tasks of one tree, as their author writes them."),
    Meta(extra_json_schema={"items": {"type": "object"}}),
]
FreshIds = Annotated[bool, Meta(description="Make new ids and remap every reference, so that the array can be created again.")]
IdempotencyKey = (
    Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            description="A request that bears it again is answered with what came of the first, not carried out again, also "
            "after a crash. Kept while the tree lives, and for a day at least.",
        ),
    ]
    | None
)
"""A text by which a user's request to one operation is known again."""


@frozen
class NewTree:
    """The tasks of a new tree: the array itself, `{"tasks": […]}`, or one task."""

    tasks: AuthorsTasks
    execute: Annotated[bool, Meta(description="Request its execution in the same transaction.")] = False
    fresh_ids: FreshIds = False
    idempotency_key: IdempotencyKey = None


@frozen
class Execution:
    """What to run: a stored tree, a task of one, or the tasks of a new one."""

    task_id: (
        Annotated[str, Meta(description="Id of the task; a root's means the whole tree, or what is left of it.")] | None
    ) = None
    tasks: AuthorsTasks | None = None
    wait: (
        Annotated[
            float, Meta(ge=0, description="Seconds to wait for its end, at most; of a remote caller's no more than max_wait.")
        ]
        | None
    ) = None
    fresh_ids: FreshIds = False
    rerun: Annotated[bool, Meta(description="All of the tree once more, also what has completed.")] = False
    idempotency_key: IdempotencyKey = None


@frozen
class Answer:
    """What a task waits for."""

    task_id: Annotated[str, Meta(description="Id of the task.")]
    answer: Annotated[Any, Meta(description="Any JSON value that fits the schema of its wait.")]


@frozen
class SomeTasks:
    """One task, or several."""

    task_id: TaskId | None = None
    task_ids: Annotated[list[str], Meta(description="Ids of several tasks.")] | None = None

    @property
    def ids(self) -> list[str]:
        """The ids that were given, each once."""
        one = [] if self.task_id is None else [self.task_id]
        return list(dict.fromkeys([*one, *(self.task_ids or ())]))


def as_named(params: Params) -> Params:
    """`{"tasks": […]}` from any way to hand over tasks: the array itself, or one task's object beside the other parameters."""
    if not isinstance(params, Mapping):
        return {"tasks": params}
    if "tasks" in params or not params.keys() & fields.KNOWN:
        return params
    others = {name: params[name] for name in ("execute", "fresh_ids", "idempotency_key", "tree") if name in params}
    return {"tasks": [{name: value for name, value in params.items() if name not in others}], **others}


def admitted(engine: Engine, caller: Caller, tasks: Sequence[Any]) -> list[Any]:
    """The tasks as a caller may hand them over: not too many, and its user's own.

    Raises:
        TooLarge: There are more than a remote caller may hand over.
        PermissionDenied: Some are another user's.
    """
    check_size(engine, caller, len(tasks))
    user = bound_user(caller)
    return list(tasks) if user is None else _owned(tasks, user)


@operation(
    "tasks.create",
    scope="submit",
    params=NewTree,
    result=TreeView,
    errors=(*MALFORMED, Overloaded, IdempotencyConflict),
    arrange=as_named,
)
async def create(engine: Engine, caller: Caller, params: NewTree) -> TreeView:
    """Check the tasks of a tree, all at once, and store them; nothing is stored when anything is wrong."""
    async with engine.idempotency.claim(caller, "tasks.create", params) as claim:
        if claim is not None and claim.tree_id is not None:
            return await _made(engine, caller, claim)
        return await _create(engine, caller, params.tasks, claim, execute=params.execute, fresh_ids=params.fresh_ids)


@operation(
    "tasks.execute",
    scope="submit",
    params=Execution,
    result=TreeView,
    errors=(NotFound, AlreadyExecuting, InvalidTransition, CannotDelete, *MALFORMED, Overloaded, IdempotencyConflict),
)
async def execute(engine: Engine, caller: Caller, params: Execution) -> TreeView:
    """Request an execution, of a new tree or of what is left of a stored one; answers at once, or with `wait` at its end.

    Of a stored tree that has run, what did not complete runs again, and all that depends on it. One task runs with what it
    needs and has not completed, and what depends on it and has settled.
    """
    _exactly_one("tasks.execute", task_id=params.task_id, tasks=params.tasks)
    async with engine.idempotency.claim(caller, "tasks.execute", params) as claim:
        view = await _execute(engine, caller, params, claim)
    if params.wait is None:
        return view
    within = params.wait if caller.origin == "local" else min(params.wait, engine.settings.max_wait)
    settled = tree_view(await engine.manager.wait(view["id"], within))
    if "warnings" in view:
        settled["warnings"] = view["warnings"]
    return settled


@operation("tasks.cancel", scope="cancel", params=SomeTasks, result=Tasks, errors=(NotFound,))
async def cancel(engine: Engine, caller: Caller, params: SomeTasks) -> Tasks:
    """Cancel tasks with all that is under them; answers, once the request is stored, with the tasks covered."""
    if not params.ids:
        raise InvalidParams("tasks.cancel needs task_id or task_ids")
    for task_id in params.ids:
        await visible_tree(engine, caller, task_id)
    covered: dict[str, Task] = {}
    for task_id in params.ids:
        covered |= {task.id: task for task in await engine.manager.cancel(task_id, actor=caller.user_id)}
    return {"tasks": [task_view(task) for task in covered.values()]}


@operation(
    "tasks.answer",
    scope="submit",
    params=Answer,
    result=TaskView,
    errors=(NotFound, InvalidTransition, WrongAnswer),
)
async def answer(engine: Engine, caller: Caller, params: Answer) -> TaskView:
    """Answer what a task waits for, so that it goes on; where no process runs its tree, tasks.resume has one do so."""
    await visible_tree(engine, caller, params.task_id)
    return task_view(await engine.manager.answer(params.task_id, params.answer, actor=caller.user_id))


async def _execute(engine: Engine, caller: Caller, params: Execution, claim: Claim | None) -> TreeView:
    if claim is not None and claim.tree_id is not None:
        return await _made(engine, caller, claim)
    if params.task_id is None:
        return await _create(engine, caller, params.tasks or [], claim, execute=True, fresh_ids=params.fresh_ids)
    tree = await visible_tree(engine, caller, params.task_id)
    note = None if claim is None else claim.note(tree.id)
    return tree_view(await engine.manager.execute(params.task_id, rerun=params.rerun, actor=caller.user_id, note=note))


async def _create(
    engine: Engine, caller: Caller, tasks: Sequence[Any], claim: Claim | None, *, execute: bool, fresh_ids: bool
) -> TreeView:
    own = admitted(engine, caller, tasks)
    await check_open(engine, caller, len(own))
    note = None if claim is None else partial(_note, claim)
    draft = await engine.creator.create(own, caller=caller, fresh_ids=fresh_ids, execute=execute, note=note)
    return tree_view(draft.tree, draft.warnings)


def _note(claim: Claim, draft: Draft) -> RecordWrite:
    return claim.note(draft.tree.id, {"warnings": [str(warning) for warning in draft.warnings]})


async def _made(engine: Engine, caller: Caller, claim: Claim) -> TreeView:
    """The answer to a request that was carried out before: its tree, as it stands."""
    view = tree_view(await visible_tree(engine, caller, claim.tree_id or ""))
    if claim.told.get("warnings"):
        view["warnings"] = claim.told["warnings"]
    return view


def _owned(tasks: Sequence[Any], user: str) -> list[Any]:
    problems = [
        Problem(
            f"must be the caller's own, {user!r}, or absent",
            task=str(task.get("name") or task.get("id") or n),
            field="user_id",
            value=task["user_id"],
            code=PermissionDenied.code,
        )
        for n, task in enumerate(tasks)
        if isinstance(task, Mapping) and task.get("user_id") not in {None, user}
    ]
    if problems:
        raise PermissionDenied(problems=tuple(problems[:20]))
    return [{**task, "user_id": user} if isinstance(task, Mapping) else task for task in tasks]


def check_size(engine: Engine, caller: Caller, size: int) -> None:
    """Refuse a tree that is larger than a caller may have them.

    Raises:
        TooLarge: It has more than `max_tasks_per_tree` tasks, and the caller is a remote one.
    """
    most = engine.settings.max_tasks_per_tree
    if caller.origin == "remote" and size > most:
        raise TooLarge(f"{size} tasks, and a remote caller's tree may have at most {most} (max_tasks_per_tree)")


async def check_open(engine: Engine, caller: Caller, more: int) -> None:
    """Refuse more open tasks than there may be.

    Raises:
        Overloaded: With these there would be over `max_open_tasks`, and the caller is a remote one.
    """
    if caller.origin == "local":
        return
    most = engine.settings.max_open_tasks
    unsettled = sum((await engine.storage.count(TaskQuery(statuses=_OPEN))).values())
    if unsettled + more > most:
        raise Overloaded(f"{unsettled} tasks are open, and with {more} more there would be over {most} (max_open_tasks)")


def _exactly_one(name: str, **given: Any) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise InvalidParams(f"{name} needs either {' or '.join(given)}")


OPERATIONS = (create, execute, cancel, answer)
