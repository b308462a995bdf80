"""Trees to store, and how what is read is compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from apflow_hookspecs import Batch, Change, Dependency, Storage, Task, TaskTree

NOON = 1_753_963_200_000_000
"""The instant at which the samples are created."""
TOKEN = "token"  # noqa: S105 - of a tree's owner


def sample_tree(
    id: str, size: int = 3, *, tasks: Mapping[int, Mapping[str, Any]] | None = None, created_at: int = NOON, **record: Any
) -> TaskTree:
    """A tree: a root and, under it, tasks that each need the one before.

    Args:
        id: The root's id; the others are `id.1`, `id.2` …, and their keys `root`, `task-1`, `task-2` …
        size: How many tasks, with the root.
        tasks: Other values for fields, by the task's number.
        created_at: Instant, of the tree and its tasks.
        record: Fields of the tree's record.
    """
    made = []
    for n in range(size):
        fields: dict[str, Any] = {"id": f"{id}.{n}", "key": f"task-{n}", "parent_id": id, "executor": "work"}
        if n == 0:
            fields = {"id": id, "key": "root"}
        if n > 1:
            fields["dependencies"] = (Dependency(f"{id}.{n - 1}", f"task-{n - 1}"),)
        fields |= {"name": fields["key"], "user_id": record.get("user_id"), **(tasks or {}).get(n, {})}
        made.append(Task(n=n, tree_id=id, created_at=created_at, updated_at=fields.pop("updated_at", created_at), **fields))
    defaults: dict[str, Any] = {"token": TOKEN, "status_at": created_at, "owner": "1@here"}
    return TaskTree(id=id, tasks={task.key: task for task in made}, created_at=created_at, **(defaults | record))


def change(**parts: Any) -> Change:
    """A change of the first run by the samples' owner."""
    return Change(**{"token": TOKEN, "run": 1, **parts})


async def insert(storage: Storage, *trees: TaskTree) -> None:
    """Store some trees."""
    assert await storage.commit(Batch(trees=list(trees)))


async def apply(storage: Storage, tree_id: str, **parts: Any) -> None:
    """Change a stored tree."""
    assert await storage.commit(Batch(changes={tree_id: change(**parts)}))


async def loses(storage: Storage, tree_id: str, **parts: Any) -> bool:
    """Whether a change loses, and nothing of it is written."""
    before = await stored(storage, tree_id)
    committed = await storage.commit(Batch(changes={tree_id: change(**parts)}))
    assert await stored(storage, tree_id) == before
    return committed.lost == (tree_id,)


def shown(task: Task) -> dict[str, Any]:
    """A task's fields, to be compared."""
    return attrs.asdict(task)


def shown_tree(tree: TaskTree) -> dict[str, Any]:
    """A tree's record and its tasks in their order, to be compared."""
    record = {field.name: getattr(tree, field.name) for field in attrs.fields(TaskTree) if field.name != "tasks"}
    return {**record, "tasks": [(key, shown(task)) for key, task in tree.tasks.items()]}


async def stored(storage: Storage, tree_id: str) -> dict[str, Any] | None:
    """A tree as it is stored, to be compared; None when it is not there."""
    tree = await storage.tree(tree_id)
    return None if tree is None else shown_tree(tree)


async def stored_task(storage: Storage, task_id: str) -> Task:
    """A task that is there."""
    task = await storage.task(task_id)
    assert task is not None
    return task
