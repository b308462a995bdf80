"""The editor: changes what is stored of tasks that have not started, and deletes, archives and purges trees."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from attrs import evolve

from apflow import references
from apflow import schedule as states
from apflow.changing import changed_tree, changes, refuse_unchangeable
from apflow.creator import TaskCreator
from apflow.dependents import find_dependents, missing_dependents
from apflow.keeper import Keeper
from apflow.live import LiveTree
from apflow.manager import refuse_archived
from apflow.plan import Plan, numbered
from apflow_hookspecs import SETTLED, Page, Problem, Task, TaskQuery, TaskStatus, TaskTree
from apflow_hookspecs.errors import CannotDelete, InvalidDependency, InvalidTransition, InvalidTree

log = logging.getLogger("apflow.editor")

SETTLED_STATUSES = tuple(sorted(status.value for status in SETTLED))
PAGE = 1000
"""Trees that are deleted in one transaction, at most."""


class TreeEditor:
    """Changes and deletes stored trees; of one that runs, only what has not started.

    Args:
        keeper: Knows which of them run.
        creator: Checks what is changed.
    """

    def __init__(self, keeper: Keeper, creator: TaskCreator) -> None:
        self._keeper = keeper
        self._creator = creator

    async def delete(self, task_id: str, *, include_dependents: bool = False, allow_partial: bool = False) -> list[Task]:
        """Delete a tree, or a part of one that is pending: a task with all that is under it.

        Args:
            task_id: Of the task; a root's id means the tree.
            include_dependents: What depends on the part is deleted with it.
            allow_partial: What depends on the part stays, and depends on it no longer.

        Returns:
            The tasks deleted.

        Raises:
            NotFound: There is no such task.
            CannotDelete: The tree runs or is archived, or a task of the part is not pending.
            InvalidTree: Dependents of the part are missing, or a group would be left with nothing under it.
            InvalidDependency: What stays refers to a result of the part.
        """
        async with self._keeper.held(task_id) as (live, tree):
            refuse_archived(tree, "deleted")
            if live is not None or tree.open:
                raise CannotDelete(f"tree {tree.id!r} is {tree.status}; cancel it first")
            deleted = list(tree)
            if task_id != tree.id:
                deleted = _part(tree, tree[task_id].n, include_dependents=include_dependents, allow_partial=allow_partial)
            if tree.root in deleted:
                self._keeper.outdate(tree.id)
                await self._keeper.storage.acquire(tree.id, self._keeper.token, self._keeper.owner)
                self._keeper.transitions.batch.deletes.append((tree.id, self._keeper.token, None))
            else:
                await self._take_out(tree, deleted)
            await self._keeper.journal.stored(tree.id)
        log.info("deleted", extra={"tree_id": tree.id, "task_id": task_id, "tasks": len(deleted)})
        return deleted

    async def _take_out(self, tree: TaskTree, deleted: Sequence[Task]) -> None:
        gone = {task.id for task in deleted}
        rest = evolve(tree, tasks={task.key: _without(task, gone) for task in tree if task.id not in gone})
        async with self._keeper.writing(None, rest):
            self._keeper.transitions.batch.deletes.append((tree.id, self._keeper.token, [task.n for task in deleted]))

    async def update(
        self,
        task_id: str,
        fields: Mapping[str, Any],
        *,
        include_dependents: bool = False,
        allow_partial: bool = False,
        actor: str | None = None,
    ) -> list[Task]:
        """Replace author's fields of a pending task, through the checks of its creation; its name at any time.

        Args:
            task_id: Of the task.
            fields: As an author writes them, by name; null is the default.
            include_dependents: Where what it waits for changes, those that depend on it belong to the change: they have to be
                pending, too, and are told of it.
            allow_partial: They are left out of it.
            actor: Who changes it.

        Returns:
            The task, and the dependents that belong to the change.

        Raises:
            NotFound: There is no such task.
            InvalidTransition: It, or a dependent that belongs to the change, is not pending, or it would wait in a run for what
                that was not asked for.
            CannotDelete: The tree is archived.
            InvalidTree: Its dependents are missing.
            ApflowError: The builder or a validator refuses the change.
        """
        async with self._keeper.held(task_id) as (_, tree):
            refuse_archived(tree, "changed")
            task = tree[task_id]
            refuse_unchangeable(task, fields)
            draft = await self._creator.check_update(tree, task, fields)
            running = await self._keeper.staying(tree.id)  # whose run may have ended while it was checked
            if fields.keys() != {"name"}:
                _refuse_begun(task, running)
            changed = changes(task, draft.tree.tasks[task.key])
            plan = Plan.of(changed_tree(tree, task, changed))
            part = [task.n]
            if changed.keys() & {"inputs", "dependencies"}:
                part += _bound(tree, task, plan, running, include_dependents=include_dependents, allow_partial=allow_partial)
            if not changed:
                return [task]
            async with self._keeper.writing(running, tree) as live:
                _refuse_stuck(live, task, plan)
                self._keeper.transitions.updated(live, task.n, changed, dependents=part[1:], plan=plan, actor=actor)
            await self._keeper.journal.stored(tree.id)
        return [live.tasks[n] for n in part]

    async def archive(self, tree_id: str, *, undo: bool = False, actor: str | None = None) -> TaskTree:
        """Freeze a settled tree: it cannot be changed, deleted or run again, only copied. `undo` takes it out again.

        Raises:
            NotFound: There is no such task.
            InvalidTransition: It is not settled.
            InvalidTree: The id is that of a part of it.
        """
        async with self._keeper.held(tree_id) as (live, tree):
            if tree_id != tree.id:
                raise InvalidTree(f"task {tree_id!r} is a part of tree {tree.id!r}; a tree is archived as a whole")
            if live is not None or not tree.status.settled:
                raise InvalidTransition(f"tree {tree_id!r} is {tree.status}; only a settled tree can be archived")
            if (tree.archived_at is None) is undo:
                return tree
            self._keeper.outdate(tree_id)
            await self._keeper.storage.acquire(tree_id, self._keeper.token, self._keeper.owner)
            tree.token = self._keeper.token
            self._keeper.transitions.archived(tree, actor, undo=undo)
            await self._keeper.journal.stored(tree_id)
        return tree

    async def purge(self, before: int, *, user_id: str | None = None, dry_run: bool = False) -> int:
        """Delete the trees that have settled, and have not changed since an instant; archived ones stay.

        Args:
            before: The instant.
            user_id: Only this user's.
            dry_run: Only count them.

        Returns:
            How many there were.
        """
        query = TaskQuery(SETTLED_STATUSES, user_id=user_id, root_only=True, unchanged_since=before, limit=PAGE)
        found = 0
        while True:
            page = await self._keeper.storage.find(query)
            trees = _not_archived(page)
            found += len(trees) if dry_run or not trees else await self._delete(trees, query)
            if page.cursor is None:
                return found
            query = evolve(query, cursor=page.cursor)

    async def _delete(self, trees: Mapping[str, TaskTree], query: TaskQuery) -> int:
        async with AsyncExitStack() as locks:
            for tree_id in trees:
                await locks.enter_async_context(self._keeper.lock(tree_id))
            still = _not_archived(await self._keeper.storage.find(query))  # what held a lock may have changed its tree
            settled = [tree for id, tree in still.items() if id in trees and id not in self._keeper.live]
            self._keeper.transitions.batch.deletes += [(tree.id, tree.token, None) for tree in settled]
            await self._keeper.journal.stored("")
        log.info("purged", extra={"trees": [tree.id for tree in settled]})
        return len(settled)


def _not_archived(page: Page) -> dict[str, TaskTree]:
    return {id: tree for id, tree in page.trees.items() if tree.archived_at is None}


def _refuse_begun(task: Task, running: LiveTree | None) -> None:
    if task.status is not TaskStatus.PENDING:
        raise InvalidTransition(f"task {task.key!r} is {task.status}; only its name can be changed then")
    if running is not None and running.state[task.n] not in (states.PENDING, states.READY, states.HELD):
        raise InvalidTransition(f"task {task.key!r} starts or ends at this moment; only its name can be changed then")


def _refuse_stuck(live: LiveTree, task: Task, plan: Plan) -> None:
    """What this run was asked for cannot wait for what it was not asked for."""
    unasked = [live.tasks[n].key for n in plan.dependencies[task.n] if live.state[n] == states.HELD]
    if unasked and live.state[task.n] != states.HELD:
        rule = f"was asked to run, and cannot wait for {unasked[0]!r}, which was not; change it once this run has ended"
        raise InvalidTransition(f"task {task.key!r} {rule}")


def _bound(
    tree: TaskTree, task: Task, plan: Plan, running: LiveTree | None, *, include_dependents: bool, allow_partial: bool
) -> list[int]:
    """The dependents that belong to a change of what a task waits for."""
    before = Plan.of(tree)
    if plan.dependencies[task.n] == before.dependencies[task.n] or allow_partial:
        return []
    tasks, dependents = numbered(tree), find_dependents(before, [task.n])
    if dependents.numbers and not include_dependents:
        raise missing_dependents(tasks, dependents)
    for n in dependents.numbers:
        _refuse_begun(tasks[n], running)
    return list(dependents.numbers)


def _part(tree: TaskTree, n: int, *, include_dependents: bool, allow_partial: bool) -> list[Task]:
    """The tasks to delete."""
    tasks, plan = numbered(tree), Plan.of(tree)
    chosen = dict.fromkeys(plan.subtree(n))
    added = [*chosen] if include_dependents else []
    while added:
        dependents = find_dependents(plan, added)
        added = [m for dependent in dependents.numbers if dependent not in chosen for m in plan.subtree(dependent)]
        chosen |= dict.fromkeys(added)
    dependents = find_dependents(plan, chosen)
    if dependents.numbers and not allow_partial:
        raise missing_dependents(tasks, dependents)
    part = [tasks[m] for m in sorted(chosen)]
    for task in part:
        if task.status is not TaskStatus.PENDING:
            raise CannotDelete(f"task {task.key!r} is {task.status}; out of a tree only pending tasks can be deleted")
    _refuse_dangling(tree, part)
    for m in {plan.parents[m] for m in chosen} - chosen.keys():
        if m in plan.groups and chosen.keys() >= set(plan.children[m]):
            raise InvalidTree(f"group {tasks[m].key!r} would be left with nothing under it; delete it as well")
    return part


def _refuse_dangling(tree: TaskTree, part: Sequence[Task]) -> None:
    gone = {task.key for task in part}
    rule = "refers to the result of a task that is to be deleted"
    problems = [
        Problem(rule, task.key, found.field, found.key, InvalidDependency.code)
        for task in tree
        if task.key not in gone and task.inputs
        for found in references.find(task.inputs)
        if found.key in gone
    ]
    if problems:
        raise InvalidDependency(problems=tuple(problems[:20]))


def _without(task: Task, gone: set[str]) -> Task:
    if any(dependency.task_id in gone for dependency in task.dependencies):
        return evolve(task, dependencies=tuple(each for each in task.dependencies if each.task_id not in gone))
    return task
