"""The creator: checks an author's array, stores it as a tree, and answers.

Pure checks first, on data that nobody else holds; then one transaction; then the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from attrs import evolve

from apflow.authored import Authored, authored
from apflow.config import Settings
from apflow.copies import CopyDraft, CopyReport, Overrides, draft_copy
from apflow.copying import AGAIN, Choice, ChoiceOptions, choose
from apflow.dependents import find_dependents
from apflow.host import Host
from apflow.manager import TaskManager
from apflow.plan import Plan, numbered
from apflow.transitions import now
from apflow.tree import MAX_SHOWN, Draft, build
from apflow_hookspecs import Caller, Problem, RecordWrite, Task, TaskTree, errors
from apflow_hookspecs.errors import ApflowError, InvalidParams, InvalidTask, InvalidTree

LOCAL = Caller.local()
MINIMAL = Choice()


class TaskCreator:
    """Makes trees.

    Args:
        host: Its validators are asked.
        settings: Bounds.
        manager: Stores and runs what was made.
    """

    def __init__(self, host: Host, settings: Settings, manager: TaskManager) -> None:
        self._host = host
        self._settings = settings
        self._manager = manager

    async def create_task_tree_from_array(
        self,
        tasks: Sequence[Mapping[str, Any]],
        *,
        caller: Caller = LOCAL,
        fresh_ids: bool = False,
        execute: bool = False,
    ) -> TaskTree:
        """Create a tree from a flat array of tasks.

        Args:
            tasks: Objects with the fields of a task; they refer to each other by id or name.
            caller: Who creates it.
            fresh_ids: Make new ids and keep the given ones as keys, so that an array can be created again and again.
            execute: Ask for its execution in the same transaction.

        Returns:
            The stored tree.

        Raises:
            ApflowError: Something is wrong with the array; `problems` tells all of it, at most 20, and nothing is stored. Its
                class is that of the problems where they are of one kind, else `InvalidTask`.
        """
        return (await self.create(tasks, caller=caller, fresh_ids=fresh_ids, execute=execute)).tree

    async def create(
        self,
        tasks: Sequence[Mapping[str, Any]],
        *,
        caller: Caller = LOCAL,
        fresh_ids: bool = False,
        execute: bool = False,
        note: Callable[[Draft], RecordWrite] | None = None,
    ) -> Draft:
        """As `create_task_tree_from_array`; the draft has the stored tree, and the warnings. `note` is stored with it."""
        draft = await self.check(tasks, caller=caller, fresh_ids=fresh_ids)
        if draft.problems:
            raise refusal(draft.problems)
        record = None if note is None else note(draft)
        await self._manager.insert(draft.tree, draft.plan, actor=caller.user_id, execute=execute, note=record)
        return draft

    async def check(self, tasks: Sequence[Mapping[str, Any]], *, caller: Caller = LOCAL, fresh_ids: bool = False) -> Draft:
        """All that creating would refuse, without storing anything.

        Raises:
            InvalidTree: It is no array, or an empty one.
        """
        if not isinstance(tasks, list | tuple):
            raise InvalidTree(f"the tasks must be an array of objects, and are of type {type(tasks).__name__}")
        if not tasks:
            raise InvalidTree("the array of tasks is empty; a tree has at least one task")
        draft = build(
            tasks,
            now=now(),
            user_id=caller.user_id,
            origin=caller.origin,
            fresh_ids=fresh_ids,
            max_depth=self._settings.max_depth,
        )
        return await self._checked(draft, list(draft.tree))

    @overload
    async def create_task_copy(
        self,
        task: Task | str,
        children: bool = ...,  # noqa: FBT001 - what users of the earlier system write
        *,
        save: Literal[True] = ...,
        overrides: Overrides | None = ...,
        execute: bool = ...,
        caller: Caller = ...,
        **choice: Unpack[ChoiceOptions],
    ) -> TaskTree: ...

    @overload
    async def create_task_copy(
        self,
        task: Task | str,
        children: bool = ...,  # noqa: FBT001 - likewise
        *,
        save: Literal[False],
        overrides: Overrides | None = ...,
        caller: Caller = ...,
        **choice: Unpack[ChoiceOptions],
    ) -> list[Authored]: ...

    @overload
    async def create_task_copy(
        self,
        task: Task | str,
        children: bool = ...,  # noqa: FBT001 - likewise
        *,
        dry_run: Literal[True],
        overrides: Overrides | None = ...,
        caller: Caller = ...,
        **choice: Unpack[ChoiceOptions],
    ) -> CopyReport: ...

    async def create_task_copy(
        self,
        task: Task | str,
        children: bool = False,  # noqa: FBT001, FBT002 - likewise
        *,
        save: bool = True,
        dry_run: bool = False,
        overrides: Overrides | None = None,
        execute: bool = False,
        caller: Caller = LOCAL,
        **choice: Unpack[ChoiceOptions],
    ) -> TaskTree | list[Authored] | CopyReport:
        """Copy a task, with what has to run again and what that needs, for running it again without touching what was.

            again = await engine.creator.create_task_copy(done.tasks["fetch"])
            done = await engine.manager.distribute_task_tree(again)

        Args:
            task: A task of a stored tree in any state, or its id.
            children: With all that is under it; always so of a group.
            save: Store the copy. Otherwise it is returned as an array for `create_task_tree_from_array`, all of it to run.
            dry_run: Only tell what would run again, be carried over and be left out, in the report that is returned.
            overrides: Author's fields that the copy has instead of its source's, by the task's key; of tasks that run again.
            execute: Ask for its execution in the same transaction.
            caller: Who copies.
            choice: The other fields of `apflow.copying.Choice`: `copy_mode`, `task_ids`, `dependents`, `include_dependents`
                and `allow_partial`.

        Returns:
            The stored copy: `minimal` has the tasks that run again, pending, the ones that these need as they ended, and the
            ancestors of both.

        Raises:
            NotFound: There is no such task.
            InvalidParams: Options do not belong together, or an override cannot be.
            InvalidTree: Dependents of the chosen tasks were not chosen; a problem each shows the path that binds it.
            ApflowError: The builder or a validator refuses the copy.
        """
        options = Choice(children=children, **choice)
        report = await self.copy(task, options, save=save, overrides=overrides, execute=execute, dry_run=dry_run, caller=caller)
        if dry_run:
            return report
        return report.tasks or [] if report.tree is None else report.tree

    async def copy(
        self,
        task: Task | str,
        choice: Choice = MINIMAL,
        *,
        save: bool = True,
        overrides: Overrides | None = None,
        execute: bool = False,
        dry_run: bool = False,
        caller: Caller = LOCAL,
    ) -> CopyReport:
        """As `create_task_copy`; the report also tells what runs again, what is carried over and what is left out.

        With `dry_run` it only tells.
        """
        draft = await self.draft_copy(task, choice, overrides=overrides, caller=caller)
        return await self.finish_copy(draft, save=save, execute=execute, dry_run=dry_run, caller=caller)

    async def draft_copy(
        self, task: Task | str, choice: Choice, *, overrides: Overrides | None = None, caller: Caller = LOCAL
    ) -> CopyDraft:
        """All of copying but storing. Errors as of `create_task_copy`."""
        task_id = task if isinstance(task, str) else task.id
        tree = await self._manager.tree(task_id)
        chosen = choose(tree, tree[task_id], choice)
        made = draft_copy(chosen, overrides, now=now(), origin=caller.origin, max_depth=self._settings.max_depth)
        again = [new for old, new in zip(chosen.copied, made.draft.tree, strict=True) if chosen.fates[old.n] == AGAIN]
        checked = await self._checked(made.draft, again)
        if checked.problems:
            raise refusal(checked.problems)
        return evolve(made, draft=checked)

    async def finish_copy(
        self,
        copy: CopyDraft,
        *,
        save: bool = True,
        execute: bool = False,
        dry_run: bool = False,
        caller: Caller = LOCAL,
        note: RecordWrite | None = None,
    ) -> CopyReport:
        """Store a drafted copy and a record with it, or do with it what else was asked for."""
        if execute and not save:
            raise InvalidParams("execute = True: a copy that is not stored (save = False) cannot run")
        if dry_run or not save:
            return copy.report(tasks=not dry_run)
        await self._manager.insert(copy.draft.tree, copy.draft.plan, actor=caller.user_id, execute=execute, note=note)
        return copy.report(tree=True)

    async def check_update(self, tree: TaskTree, task: Task, fields: Mapping[str, Any]) -> Draft:
        """All that creating a stored tree would refuse, had its author written other fields of one task.

        Raises:
            ApflowError: Something is refused.
        """
        array = [{"id": each.id, **authored(each, tree), **(fields if each is task else {})} for each in tree]
        draft = build(array, now=now(), user_id=tree.user_id, origin=tree.origin, max_depth=self._settings.max_depth)
        checked = await self._checked(draft, [] if draft.problems else [draft.tree.tasks[task.key]])
        if checked.problems:
            raise refusal(checked.problems)
        return checked

    async def find_dependents(self, task_ids: Collection[str], *, transitive: bool = True) -> list[Task]:
        """Who depends on tasks, by dependencies, references, and through the groups that these are in.

        Args:
            task_ids: Ids of tasks of one tree. That of a group stands for the group alone, without the tasks under it.
            transitive: Also those that depend on dependents, and so on.

        Returns:
            The dependents in the order of creation, without the tasks themselves.

        Raises:
            NotFound: There is no such task.
            InvalidParams: The tasks are of several trees.
        """
        if not task_ids:
            return []
        tree = await self._manager.tree(next(iter(task_ids)))
        for task_id in task_ids:
            if task_id not in tree:
                other = await self._manager.tree(task_id)
                raise InvalidParams(f"task_ids: task {task_id!r} is in tree {other.id!r}, and others are in {tree.id!r}")
        found = find_dependents(Plan.of(tree), [tree[task_id].n for task_id in task_ids], transitive=transitive)
        tasks = numbered(tree)
        return [tasks[n] for n in found.numbers]

    async def _checked(self, draft: Draft, tasks: Iterable[Task]) -> Draft:
        # Of a field that could not be read there is nothing to validate.
        unread = {(problem.task, _top(problem.field)) for problem in draft.problems}
        validated = await self._validate(draft, tasks)
        found = [*draft.problems, *(p for p in validated if p.field is None or (p.task, _top(p.field)) not in unread)]
        return evolve(
            draft,
            problems=tuple(problem for problem in found if problem.severity == "error"),
            warnings=(*draft.warnings, *(problem for problem in found if problem.severity == "warning")),
        )

    async def _validate(self, draft: Draft, tasks: Iterable[Task]) -> list[Problem]:
        tree = draft.tree
        problems: list[Problem] = []
        executors, validate_task = self._host.executors, self._host.validate_task
        for task in tasks:
            problems += await validate_task(task, executors.get(task.executor or ""), tree)
            if len(problems) > MAX_SHOWN:
                break  # no more are told, and a validator may be slow
        problems += await self._host.validate_tree(tree)
        return [evolve(problem, task=draft.labels.get(problem.task or "", problem.task)) for problem in problems]


def _top(field: str | None) -> str | None:
    return None if field is None else field.partition(".")[0]


def refusal(problems: Sequence[Problem]) -> ApflowError:
    """The error that tells problems: of their class where they are of one kind."""
    codes = {problem.code for problem in problems}
    error = errors.BY_CODE.get(codes.pop(), InvalidTask) if len(codes) == 1 else InvalidTask
    message = str(problems[0])
    if len(problems) > 1:
        count = f"more than {MAX_SHOWN}" if len(problems) > MAX_SHOWN else str(len(problems))
        message = f"{count} problems, the first: {message}"
    return error(message, problems=tuple(problems[:MAX_SHOWN]))
