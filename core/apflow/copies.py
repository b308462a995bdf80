"""Copies: the tree, or the array, that comes of what was chosen to be copied.

A copy goes through the builder like any array, which checks it, makes new ids and remaps every reference. Then what is carried
over gets the state in which it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import frozen

from apflow.authored import Authored, authored, placed
from apflow.copying import AGAIN, CARRIED, Chosen
from apflow.fields import CHANGEABLE
from apflow.plan import Plan
from apflow.tree import MAX_SHOWN, Draft, build
from apflow.values import copied
from apflow_hookspecs import EMPTY, Problem, Task, TaskStatus, TaskTree
from apflow_hookspecs.errors import InvalidParams
from apflow_hookspecs.task import MAX_INSTANT

Overrides = Mapping[str, Mapping[str, Any]]
"""Author's fields of the copy, by the task's key."""

CARRIED_STATE = ("status", "result", "error", "progress", "started_at", "completed_at", "attempt")
WORST_LAST = (TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.CANCELLED, TaskStatus.FAILED, TaskStatus.PENDING)
"""A group of a copy stands as the last of these that stands under it."""


@frozen
class CopyReport:
    """What became of a request to copy.

    Args:
        tree: The stored copy; None where it was not to be stored.
        tasks: The array of the copy, all of it to run, where that was asked for instead.
        ids: Id in the source → id in the stored copy.
        run_again: Keys of the tasks that run again, in the order of creation.
        carried_over: Keys of those that stand in the copy as they ended.
        left_out: Keys of the dependents of what runs again that do not; those that the shape of the tree needs stand in the
            copy as groups.
        warnings: What may surprise.
    """

    tree: TaskTree | None
    tasks: list[Authored] | None
    ids: Mapping[str, str]
    run_again: tuple[str, ...]
    carried_over: tuple[str, ...]
    left_out: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


@frozen
class CopyDraft:
    """A copy that is not stored yet.

    Args:
        chosen: What becomes of the tasks of the source.
        array: The copy as an author would write it.
        draft: What the builder made of it; its tree is in the state in which it is to be stored, where there are no problems.
    """

    chosen: Chosen
    array: list[Authored]
    draft: Draft

    @property
    def open(self) -> int:
        """How many of its tasks have yet to settle."""
        return sum(task.status is TaskStatus.PENDING for task in self.draft.tree)

    def report(self, *, tree: bool = False, tasks: bool = False) -> CopyReport:
        """What is told about it: with its tree, which is stored now, with its array, or with neither."""
        made = self.draft.tree
        return CopyReport(
            tree=made if tree else None,
            tasks=copied(self.array) if tasks else None,
            ids={old.id: new.id for old, new in zip(self.chosen.copied, made, strict=True)} if tree else EMPTY,
            run_again=_keys(self.chosen.of(AGAIN)),
            carried_over=_keys(self.chosen.of(CARRIED)),
            left_out=_keys(self.chosen.tasks[n] for n in sorted(self.chosen.left_out)),
            warnings=self.draft.warnings,
        )


def draft_copy(
    chosen: Chosen, overrides: Overrides | None, *, now: int, origin: Literal["local", "remote"], max_depth: int
) -> CopyDraft:
    """Build a copy.

    Args:
        chosen: What becomes of the tasks of the source.
        overrides: Author's fields that the copy has instead of its source's.
        now: Instant of its creation.
        origin: Of the caller; that of the source may make it stricter.
        max_depth: Of any value.

    Raises:
        InvalidParams: An override names a task that does not run again, or a field that cannot be overridden.
    """
    changes = _checked(overrides, chosen)
    source = chosen.tree
    array = [{**_written(chosen, task), **changes.get(task.key, EMPTY)} for task in chosen.copied]
    stricter = origin if origin == "remote" else source.origin
    draft = build(array, now=now, user_id=source.user_id, origin=stricter, fresh_ids=True, max_depth=max_depth)
    if not draft.problems:
        draft.tree.context_id = source.context_id
        for old, new in zip(chosen.copied, draft.tree, strict=True):
            new.original_task_id = old.id
            if chosen.fates[old.n] == CARRIED:
                _carry_over(old, new)
        _settle_groups(list(draft.tree), draft.plan)
    return CopyDraft(chosen, array, draft)


def _keys(tasks: Iterable[Task]) -> tuple[str, ...]:
    return tuple(task.key for task in tasks)


def _checked(overrides: Overrides | None, chosen: Chosen) -> Overrides:
    changes = {} if overrides is None else overrides
    if not isinstance(changes, Mapping):
        raise InvalidParams(
            f"overrides must be an object of fields by the task's key, and are of type {type(changes).__name__}"
        )
    problems = [problem for key, fields in changes.items() for problem in _misfits(key, fields, chosen)]
    if problems:
        raise InvalidParams(problems=tuple(problems[:MAX_SHOWN]))
    return changes


def _misfits(key: str, fields: Any, chosen: Chosen) -> list[Problem]:
    task, code = chosen.tree.tasks.get(key), InvalidParams.code
    if task is None:
        return [Problem("no task of the tree has this key", field="overrides", value=key, code=code)]
    if chosen.fates[task.n] != AGAIN:
        return [Problem("does not run again in this copy, and stays as it is", key, "overrides", fields, code)]
    if not isinstance(fields, Mapping):
        return [Problem("must be an object of fields", key, "overrides", fields, code)]
    rule = f"cannot be overridden; what can: {', '.join(CHANGEABLE)}"
    found = [Problem(rule, key, f"overrides.{name}", value, code) for name, value in fields.items() if name not in CHANGEABLE]
    if "executor" in fields and fields["executor"] is None:
        found.append(Problem("what runs again needs one", key, "overrides.executor", None, code))
    return found


def _written(chosen: Chosen, task: Task) -> Authored:
    emptied = task.n in chosen.left_out
    return placed(task, chosen.tree) if emptied else authored(task, chosen.tree)


def _carry_over(old: Task, new: Task) -> None:
    for name in CARRIED_STATE:
        setattr(new, name, getattr(old, name))
    new.run = 0


def _settle_groups(tasks: list[Task], plan: Plan) -> None:
    """Groups under which nothing runs again stand as what is under them does."""
    worst = [WORST_LAST.index(TaskStatus.COMPLETED if task.is_group else task.status) for task in tasks]
    started = [MAX_INSTANT if task.started_at is None else task.started_at for task in tasks]
    ended = [task.completed_at or 0 for task in tasks]
    for n in reversed(plan.subtree(plan.parents.index(-1))):
        status = WORST_LAST[worst[n]]
        if n in plan.groups and status is not TaskStatus.PENDING:
            group = tasks[n]
            group.status, group.run, group.completed_at = status, 0, ended[n]
            group.started_at = started[n] if started[n] < MAX_INSTANT else None
            group.progress = 1.0 if status is TaskStatus.COMPLETED else 0.0
        above = plan.parents[n]
        if above >= 0:
            worst[above] = max(worst[above], worst[n])
            started[above] = min(started[above], started[n])
            ended[above] = max(ended[above], ended[n])
