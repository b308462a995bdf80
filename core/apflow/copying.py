"""Copying: which tasks of a tree run again in a copy, which are carried over as they ended, and which are left out.

Pure, O(V+E), without recursion. Its rules are those of the user's guide, in "Copying".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict, get_args

from attrs import fields_dict, frozen

from apflow.dependents import find_dependents, missing_dependents
from apflow.plan import Plan, numbered
from apflow_hookspecs import Task, TaskStatus, TaskTree
from apflow_hookspecs.errors import InvalidParams, NotFound, shortened

CopyMode = Literal["minimal", "full", "custom"]
WhichDependents = Literal["auto", "all", "none"]

OUT, GROUP, CARRIED, AGAIN = range(4)
"""What becomes of a task: not copied, copied as a group, carried over as it ended, runs again. The higher wins."""

NEVER_RAN = frozenset({TaskStatus.PENDING, TaskStatus.SKIPPED})


class ChoiceOptions(TypedDict, total=False):
    """The fields of a `Choice` as keywords, without `children`."""

    copy_mode: CopyMode
    task_ids: Sequence[str] | None
    dependents: WhichDependents
    include_dependents: bool
    allow_partial: bool


@frozen(kw_only=True)
class Choice:
    """What a copy is to hold.

    Args:
        children: The task with all that is under it; always so of a group.
        copy_mode: `minimal` holds what has to run again and what that needs, `full` the whole tree, `custom` the tasks of
            `task_ids` and what these need.
        task_ids: Ids of the tasks that are to run again, for `custom`.
        dependents: For `minimal`, which tasks that depend on the task run again, too: `all`, `none`, or `auto`, which is all,
            save those that never ran where a failed task without children is to run again.
        include_dependents: For `custom`, add those that depend on the chosen ones.
        allow_partial: For `custom`, leave them out.

    Raises:
        InvalidParams: An option does not belong to the mode, or has a value that there is not.
    """

    children: bool = False
    copy_mode: CopyMode = "minimal"
    task_ids: Sequence[str] | None = None
    dependents: WhichDependents = "auto"
    include_dependents: bool = False
    allow_partial: bool = False

    def __attrs_post_init__(self) -> None:
        self._is_one_of("copy_mode", get_args(CopyMode))
        self._is_one_of("dependents", get_args(WhichDependents))
        for name in ("task_ids", "include_dependents", "allow_partial"):
            self._belongs(name, "custom")
        self._belongs("dependents", "minimal")
        if isinstance(self.task_ids, str):
            raise InvalidParams(f"task_ids = {shortened(self.task_ids)}: must be a list of ids")
        if self.copy_mode == "custom" and not self.task_ids:
            raise InvalidParams("copy_mode = 'custom': needs the ids of the tasks that are to run again, as task_ids")
        if self.include_dependents and self.allow_partial:
            raise InvalidParams("include_dependents adds what allow_partial leaves out; give one of them")

    def _is_one_of(self, name: str, choices: Sequence[str]) -> None:
        if (value := getattr(self, name)) not in choices:
            raise InvalidParams(f"{name} = {shortened(value)}: must be one of {', '.join(map(repr, choices))}")

    def _belongs(self, name: str, mode: CopyMode) -> None:
        value = getattr(self, name)
        if self.copy_mode != mode and value != fields_dict(Choice)[name].default:
            rule = f"belongs to copy_mode = {mode!r}, and this one is {self.copy_mode!r}"
            raise InvalidParams(f"{name} = {shortened(value)}: {rule}")


@frozen
class Chosen:
    """What becomes of each task of a tree in a copy.

    Args:
        tree: The source.
        tasks: Of the source, by number.
        plan: Its order graph.
        fates: By number: `OUT`, `GROUP`, `CARRIED` or `AGAIN`. A task that works and is copied as a `GROUP` was left out.
        left_out: Numbers of the dependents that do not run again, though what they depend on does.
    """

    tree: TaskTree
    tasks: Sequence[Task]
    plan: Plan
    fates: bytes
    left_out: frozenset[int]

    def of(self, *fates: int) -> list[Task]:
        """The tasks with one of these fates, in the order of creation."""
        return [self.tasks[n] for n, fate in enumerate(self.fates) if fate in fates]

    @property
    def copied(self) -> list[Task]:
        """The tasks that the copy has."""
        return self.of(GROUP, CARRIED, AGAIN)


def choose(tree: TaskTree, task: Task, choice: Choice) -> Chosen:
    """What becomes of each task of a tree in a copy of one of its tasks.

    Args:
        tree: In any state.
        task: What is copied; in a custom copy it only says which tree.
        choice: What the copy is to hold.

    Raises:
        NotFound: A chosen task is not in the tree.
        InvalidTree: Dependents of chosen tasks were not chosen.
    """
    return _Choosing(tree, choice).chosen(task)


class _Choosing:
    def __init__(self, tree: TaskTree, choice: Choice) -> None:
        self.tree = tree
        self.choice = choice
        self.tasks = numbered(tree)
        self.plan = Plan.of(tree)

    def chosen(self, task: Task) -> Chosen:
        base = self._base(task)
        dependents = find_dependents(self.plan, base)
        if self.choice.copy_mode == "full":
            return Chosen(self.tree, self.tasks, self.plan, self._whole(base | set(dependents.numbers)), frozenset())
        if self.choice.copy_mode == "minimal":
            again = self._kept(dependents.numbers, base)
        elif not dependents.numbers or self.choice.include_dependents:
            again = set(dependents.numbers)
        elif self.choice.allow_partial:
            again = set()
        else:
            raise missing_dependents(self.tasks, dependents)
        left_out = frozenset(dependents.numbers) - again
        fates = _Closure(self.tasks, self.plan, left_out).fates(base | again)
        return Chosen(self.tree, self.tasks, self.plan, fates, frozenset(n for n in left_out if fates[n] <= GROUP))

    def _base(self, task: Task) -> set[int]:
        """The working tasks that are to run again before anything else."""
        heads = [task] if self.choice.task_ids is None else [self._chosen_task(id) for id in self.choice.task_ids]
        ahead = [task.n for task in heads if self.choice.children or task.is_group]
        under: set[int] = set()
        while ahead:
            n = ahead.pop()
            if n not in under:
                under.add(n)
                ahead += self.plan.children[n]
        return ({task.n for task in heads} | under) - self.plan.groups

    def _chosen_task(self, id: str) -> Task:
        if id not in self.tree:
            raise NotFound(f"task_ids: there is no task {shortened(id)} in tree {self.tree.id!r}")
        return self.tree[id]

    def _kept(self, dependents: Sequence[int], base: Iterable[int]) -> set[int]:
        """The dependents that run again."""
        if self.choice.dependents == "none":
            return set()
        spared = NEVER_RAN if self.choice.dependents == "auto" and any(map(self._failed_leaf, base)) else ()
        return {n for n in dependents if self.tasks[n].status not in spared}

    def _failed_leaf(self, n: int) -> bool:
        return self.tasks[n].status is TaskStatus.FAILED and not self.plan.children[n]

    def _whole(self, again: set[int]) -> bytes:
        fates = bytearray(CARRIED if task.status is TaskStatus.COMPLETED else AGAIN for task in self.tasks)
        for n in self.plan.groups:
            fates[n] = GROUP
        for n in self.plan.gone:
            fates[n] = OUT
        for n in again:
            fates[n] = AGAIN
        return bytes(fates)


class _Closure:
    """Adds to the tasks that run again what they need, and everybody's ancestors, until nothing is added.

    A fate only ever rises, so that each task is looked at three times at most.
    """

    def __init__(self, tasks: Sequence[Task], plan: Plan, left_out: frozenset[int]) -> None:
        self.tasks = tasks
        self.plan = plan
        self.left_out = left_out
        self.fate = bytearray(plan.size)
        self.changed: list[int] = []
        self.walked = bytearray(plan.size)
        """Whether all that is under a task was needed already: 1 in any way, 2 as what has to complete."""

    def fates(self, again: Iterable[int]) -> bytes:
        for n in again:
            self._rise(n, AGAIN)
        while self.changed:
            n = self.changed.pop()
            self._look_above(n)
            if self.fate[n] != GROUP:
                for other, required in self.plan.dependencies[n].items():
                    self._need(other, must_complete=required and self.fate[n] == AGAIN)
        return bytes(self.fate)

    def _rise(self, n: int, fate: int) -> None:
        if fate > self.fate[n]:
            self.fate[n] = fate
            self.changed.append(n)

    def _look_above(self, n: int) -> None:
        parent = self.plan.parents[n]
        if parent in self.plan.groups or parent in self.left_out:
            self._rise(parent, GROUP)
        elif parent >= 0:
            self._bring(parent, must_complete=True)

    def _bring(self, n: int, *, must_complete: bool) -> None:
        status = self.tasks[n].status
        stays = status is TaskStatus.COMPLETED or (status.settled and not must_complete)
        self._rise(n, CARRIED if stays else AGAIN)

    def _need(self, n: int, *, must_complete: bool) -> None:
        """Somebody depends on a task: of a group, on each that works under it."""
        if n not in self.plan.groups:
            self._bring(n, must_complete=must_complete)
            return
        level = 2 if must_complete else 1
        ahead = [n]
        while ahead:
            m = ahead.pop()
            if self.walked[m] < level:
                self.walked[m] = level
                ahead += self.plan.children[m]
                if m not in self.plan.groups:
                    self._bring(m, must_complete=must_complete)
