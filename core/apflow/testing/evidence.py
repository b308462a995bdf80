"""What there is to judge an engine by: what is stored, what ran, and what was acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from apflow.plan import Plan
from apflow.testing.journaling import Acknowledged, Entry
from apflow_hookspecs import Attempt, Event, Storage, Task, TaskQuery, TaskTree

PAGE = 1000


@frozen(slots=False)
class StoredTree:
    """One tree with all that is stored of it, and what its executors wrote down.

    Args:
        events: In order.
        attempts: Those that are no longer in a task's row, oldest first.
        entries: Of its tasks, in the order in which they were written.
    """

    tree: TaskTree
    events: Sequence[Event]
    attempts: Sequence[Attempt]
    entries: Sequence[Entry] = ()

    @cached_property
    def needs(self) -> Mapping[str, Mapping[str, bool]]:
        """Of each task, by id, the tasks that it waits for and whether they must complete."""
        tasks = list(self.tree)
        plan = Plan.of(self.tree)
        return {task.id: {tasks[n].id: required for n, required in plan.dependencies[task.n].items()} for task in tasks}

    def under(self, task: Task) -> list[Task]:
        """A task and all its descendants."""
        found = [task]
        for each in found:
            found.extend(self.tree.children(each))
        return found


@frozen
class Evidence:
    """All there is to judge by.

    Args:
        trees: By id.
        acknowledged: What the engine answered for.
        findings: What the storage finds wrong with itself.
        strays: What was written down by executors of tasks that are not stored.
    """

    trees: Mapping[str, StoredTree]
    acknowledged: Sequence[Acknowledged] = ()
    findings: Sequence[str] = ()
    strays: Sequence[Entry] = ()


async def gather(storage: Storage, entries: Sequence[Entry] = (), acknowledged: Sequence[Acknowledged] = ()) -> Evidence:
    """Read all trees of a storage; one that is opened for reading only will do.

    Args:
        storage: What is judged.
        entries: What executors wrote down.
        acknowledged: What the engine answered for.
    """
    owners: dict[str, list[Entry]] = {}
    strays: list[Entry] = []
    trees: dict[str, StoredTree] = {}
    async for tree_id in _tree_ids(storage):
        tree = await storage.tree(tree_id)
        if tree is not None:
            events = [event async for event in _events(storage, tree_id)]
            written: list[Entry] = []
            owners |= dict.fromkeys((task.id for task in tree), written)
            trees[tree_id] = StoredTree(tree, events, await storage.attempts(tree_id), written)
    for entry in entries:
        owners.get(entry.task_id, strays).append(entry)
    return Evidence(trees, acknowledged, await storage.check(), strays)


async def _tree_ids(storage: Storage) -> AsyncIterator[str]:
    cursor = None
    while True:
        page = await storage.find(TaskQuery(root_only=True, cursor=cursor, limit=PAGE))
        for task in page.tasks:
            yield task.tree_id
        cursor = page.cursor
        if cursor is None:
            return


async def _events(storage: Storage, tree_id: str) -> AsyncIterator[Event]:
    after = 0
    while page := await storage.events(tree_id, after, PAGE):
        for event in page:
            yield event
        after = page[-1].seq
