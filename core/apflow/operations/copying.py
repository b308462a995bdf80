"""`tasks.copy`: run again without touching what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.copies import CopyReport
from apflow.copying import Choice, CopyMode, WhichDependents
from apflow.idempotency import Claim
from apflow.operations.access import visible_task, visible_tree
from apflow.operations.views import TreeView, tree_view
from apflow.operations.writing import MALFORMED, IdempotencyKey, check_open, check_size
from apflow_hookspecs import Caller, operation
from apflow_hookspecs.errors import IdempotencyConflict, InvalidParams, NotFound, Overloaded

if TYPE_CHECKING:
    from apflow.engine import Engine


@frozen
class Copying:
    """What to copy, and what to do with the copy."""

    task_id: Annotated[str, Meta(description="Id of the task; of a custom copy that of any task of the tree.")]
    children: Annotated[bool, Meta(description="With all that is under it; always so of a group.")] = False
    copy_mode: Annotated[
        CopyMode,
        Meta(
            description="minimal: what has to run again, and what that needs; full: the whole tree; "
            "custom: the tasks of task_ids, and what they need."
        ),
    ] = "minimal"
    task_ids: Annotated[list[str] | None, Meta(description="Ids of the tasks of a custom copy that are to run again.")] = None
    dependents: Annotated[
        WhichDependents,
        Meta(
            description="Which tasks that depend on it run again too, in a minimal copy: all, none, or auto, "
            "which leaves out those that never ran where a failed task without children is copied."
        ),
    ] = "auto"
    include_dependents: Annotated[bool, Meta(description="Add those that depend on the tasks of a custom copy.")] = False
    allow_partial: Annotated[bool, Meta(description="Leave out those that depend on the tasks of a custom copy.")] = False
    overrides: Annotated[
        dict[str, dict[str, Any]] | None,
        Meta(description="Author's fields that the copy has instead, by the key of a task that runs again."),
    ] = None
    save: Annotated[bool, Meta(description="Store the copy; otherwise the answer has it as an array, all of it to run.")] = True
    execute: Annotated[bool, Meta(description="Request its execution in the same transaction.")] = False
    dry_run: Annotated[bool, Meta(description="Only tell what would run again.")] = False
    idempotency_key: IdempotencyKey = None

    @property
    def choice(self) -> Choice:
        """What the copy is to hold."""
        return Choice(
            children=self.children,
            copy_mode=self.copy_mode,
            task_ids=self.task_ids,
            dependents=self.dependents,
            include_dependents=self.include_dependents,
            allow_partial=self.allow_partial,
        )


class Copied(TypedDict):
    """A copy, the ids of its tasks by those of the source, and keys: what runs again, is carried over, is left out.

    The tree is null in a dry run; a copy that is not stored has its array as `tasks` instead.
    """

    tree: NotRequired[TreeView | None]
    tasks: NotRequired[list[dict[str, Any]]]
    ids: dict[str, str]
    run_again: list[str]
    carried_over: list[str]
    left_out: list[str]


@operation(
    "tasks.copy", scope="submit", params=Copying, result=Copied, errors=(NotFound, *MALFORMED, Overloaded, IdempotencyConflict)
)
async def copy(engine: Engine, caller: Caller, params: Copying) -> Copied:
    """Copy a task of a tree with what has to run again and what that needs; completed work is carried over."""
    if params.idempotency_key is not None and (params.dry_run or not params.save):
        raise InvalidParams(f"idempotency_key = {params.idempotency_key!r}: is for a copy that is stored")
    async with engine.idempotency.claim(caller, "tasks.copy", params) as claim:
        if claim is not None and claim.tree_id is not None:
            again: Any = {"tree": tree_view(await visible_tree(engine, caller, claim.tree_id)), **claim.told}
            repeated: Copied = again
            return repeated
        return await _copy(engine, caller, params, claim)


async def _copy(engine: Engine, caller: Caller, params: Copying, claim: Claim | None) -> Copied:
    await visible_task(engine, caller, params.task_id)
    draft = await engine.creator.draft_copy(params.task_id, params.choice, overrides=params.overrides, caller=caller)
    check_size(engine, caller, len(draft.array))
    stored = params.save and not params.dry_run
    if stored:
        await check_open(engine, caller, draft.open)
    answer = _told(draft.report(tree=stored))
    note = None if claim is None else claim.note(draft.draft.tree.id, {**answer})
    report = await engine.creator.finish_copy(
        draft, save=params.save, execute=params.execute, dry_run=params.dry_run, caller=caller, note=note
    )
    if report.tasks is not None:
        return {"tasks": report.tasks, **answer}
    return {"tree": None if report.tree is None else tree_view(report.tree, report.warnings), **answer}


def _told(report: CopyReport) -> Copied:
    return {
        "ids": dict(report.ids),
        "run_again": list(report.run_again),
        "carried_over": list(report.carried_over),
        "left_out": list(report.left_out),
    }


OPERATIONS = (copy,)
