"""The `tasks.validate` operation: everything that creating would refuse, and the plan, without storing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from attrs import frozen
from msgspec import Meta

from apflow.journal import taken
from apflow.operations.views import ProblemView, TreeView, problem_view, tree_view
from apflow.operations.writing import AuthorsTasks, FreshIds, admitted, as_named
from apflow.tree import Draft
from apflow.waves import critical_path, waves
from apflow_hookspecs import Caller, Problem, operation
from apflow_hookspecs.errors import InvalidTree, TooLarge

if TYPE_CHECKING:
    from apflow.engine import Engine


@frozen
class DraftTree:
    """The tasks of a tree that is not stored: the array itself, `{"tasks": […]}`, or one task."""

    tasks: AuthorsTasks
    fresh_ids: FreshIds = False
    tree: Annotated[bool, Meta(description="Answer with the tree, too, as it would be stored.")] = False


class PlanView(TypedDict):
    """In which order tasks would run: those of one wave wait only for those of earlier ones; groups stand in none.

    The critical path is one of the longest chains, in which each task waits for the one before. No number of slots makes the
    tree end before the tasks of such a chain have run one after the other.
    """

    tasks: int
    waves: list[list[str]]
    critical_path: list[str]


class Verdict(TypedDict):
    """Whether an array of tasks makes a tree that can run, and what is wrong with it; no plan and no tree when anything is."""

    valid: bool
    problems: list[ProblemView]
    warnings: list[ProblemView]
    plan: PlanView | None
    tree: TreeView | None


@operation("tasks.validate", scope="submit", params=DraftTree, result=Verdict, errors=(TooLarge,), arrange=as_named)
async def validate(engine: Engine, caller: Caller, params: DraftTree) -> Verdict:
    """Check the tasks of a tree as tasks.create does, without storing them, and tell in which order they would run."""
    tasks = admitted(engine, caller, params.tasks)
    if not tasks:
        empty = Problem("the array of tasks is empty; a tree has at least one task", code=InvalidTree.code)
        return {"valid": False, "problems": [problem_view(empty)], "warnings": [], "plan": None, "tree": None}
    draft = await engine.creator.check(tasks, caller=caller, fresh_ids=params.fresh_ids)
    problems = [*draft.problems, *(() if params.fresh_ids else await _taken(engine, tasks))]
    valid = not problems
    return {
        "valid": valid,
        "problems": [problem_view(problem) for problem in problems],
        "warnings": [problem_view(warning) for warning in draft.warnings],
        "plan": _plan(draft) if valid else None,
        "tree": tree_view(draft.tree, draft.warnings) if valid and params.tree else None,
    }


async def _taken(engine: Engine, tasks: Sequence[Any]) -> tuple[Problem, ...]:
    """Of the ids that the author gave, those that stored tasks have."""
    ids = [raw["id"] for raw in tasks if isinstance(raw, Mapping) and isinstance(raw.get("id"), str)]
    return taken(found).problems if (found := await engine.storage.existing(ids)) else ()


def _plan(draft: Draft) -> PlanView:
    keys = list(draft.tree.tasks)
    found = waves(draft.plan, list(draft.tree))
    return {
        "tasks": len(keys),
        "waves": [[keys[n] for n in wave] for wave in found],
        "critical_path": [keys[n] for n in critical_path(draft.plan, found)],
    }


OPERATIONS = (validate,)
