"""The creator: checks an author's array, stores it as a tree, and answers.

Pure checks first, on data that nobody else holds; then one transaction; then the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from apflow.config import Settings
from apflow.host import Host
from apflow.manager import TaskManager
from apflow.transitions import now
from apflow.tree import MAX_SHOWN, Draft, build
from apflow_hookspecs import Caller, Problem, TaskTree, errors
from apflow_hookspecs.errors import ApflowError, InvalidTask, InvalidTree

LOCAL = Caller.local()


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
        self, tasks: Sequence[Mapping[str, Any]], *, caller: Caller = LOCAL, fresh_ids: bool = False, execute: bool = False
    ) -> Draft:
        """As `create_task_tree_from_array`; the draft has the stored tree, and the warnings."""
        draft = await self.check(tasks, caller=caller, fresh_ids=fresh_ids)
        if draft.problems:
            raise refusal(draft.problems)
        await self._manager.insert(draft.tree, draft.plan, actor=caller.user_id, execute=execute)
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
        # Of a field that could not be read there is nothing to validate.
        unread = {(problem.task, _top(problem.field)) for problem in draft.problems}
        validated = [p for p in await self._validate(draft) if p.field is None or (p.task, _top(p.field)) not in unread]
        found = [*draft.problems, *validated]
        return evolve(
            draft,
            problems=tuple(problem for problem in found if problem.severity == "error"),
            warnings=(*draft.warnings, *(problem for problem in found if problem.severity == "warning")),
        )

    async def _validate(self, draft: Draft) -> list[Problem]:
        tree = draft.tree
        problems: list[Problem] = []
        executors, validate_task = self._host.executors, self._host.validate_task
        for task in tree:
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
