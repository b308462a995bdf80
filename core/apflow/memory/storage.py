"""The in-memory storage itself."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from attrs import define, field

from apflow.memory.records import Records
from apflow.memory.rows import TaskRow, TreeRow
from apflow_hookspecs import (
    Attempt,
    Batch,
    Change,
    Committed,
    Event,
    Json,
    Page,
    Record,
    Task,
    TaskQuery,
    TaskStatus,
    TaskTree,
    errors,
)

_Found = tuple[TreeRow, int, TaskRow]


@define(eq=False)
class MemoryStorage:
    """A `Storage` whose every method is done at once; a batch is checked whole before anything of it is written."""

    endpoint: str | None = field(default=None, init=False)
    _trees: dict[str, TreeRow] = field(factory=dict, init=False)
    _places: dict[str, tuple[str, int]] = field(factory=dict, init=False)
    """(tree id, number) by task id."""
    _records: Records = field(factory=Records, init=False)
    _last_number: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)

    async def commit(self, batch: Batch) -> Committed:
        self._check_open()
        inserted = {tree.id: TreeRow.of(tree, self._last_number + place) for place, tree in enumerate(batch.trees, 1)}
        taken = self._taken(batch)
        lost = [id for id in self._losing(batch, inserted) if id not in taken]
        committed = Committed(tuple(lost), taken, self._records.stale(batch.records))
        if committed:
            self._write(batch, inserted)
        return committed

    def _taken(self, batch: Batch) -> dict[str, tuple[str, ...]]:
        inserted: set[str] = set()
        taken = {}
        for tree in batch.trees:
            ids = [task.id for task in tree]
            if clashing := tuple(id for id in ids if id in self._places or id in inserted):
                taken[tree.id] = clashing
            else:
                inserted.update(ids)
        return taken

    def _losing(self, batch: Batch, inserted: dict[str, TreeRow]) -> Iterable[str]:
        known = {**self._trees, **inserted} if inserted else self._trees
        lost = dict.fromkeys(id for id, change in batch.changes.items() if not _fits(known.get(id), change))
        deleted: set[str] = set()
        for id, token, numbers in batch.deletes:
            row = known.get(id)
            if row is None or id in deleted or row.record["token"] != token or not row.tasks.keys() >= set(numbers or ()):
                lost[id] = None
            if numbers is None:
                deleted.add(id)
        return lost

    def _write(self, batch: Batch, inserted: dict[str, TreeRow]) -> None:
        for record in batch.records:
            self._records.write(record)
        self._last_number += len(inserted)
        self._trees |= inserted
        for row in inserted.values():
            self._places.update((task.id, (row.record["id"], n)) for n, task in row.tasks.items())
        for id, change in batch.changes.items():
            _apply(self._trees[id], change)
        for id, _, numbers in batch.deletes:
            self._delete(id, None if numbers is None else frozenset(numbers))

    def _delete(self, tree_id: str, numbers: frozenset[int] | None) -> None:
        row = self._trees[tree_id]
        for n in row.tasks if numbers is None else numbers:
            del self._places[row.tasks[n].id]
        if numbers is None:
            del self._trees[tree_id]
        else:
            row.remove(numbers)

    async def acquire(self, tree_id: str, token: str, owner: str) -> bool:
        self._check_open()
        row = self._trees.get(tree_id)
        if row is not None:
            row.record.update(token=token, owner=owner)
        return row is not None

    async def release(self, tree_id: str, token: str) -> None:
        self._check_open()
        row = self._trees.get(tree_id)
        if row is not None and row.record["token"] == token:
            row.record.update(token="", owner=None)

    async def task(self, task_id: str) -> Task | None:
        self._check_open()
        place = self._places.get(task_id)
        return None if place is None else self._trees[place[0]].task(place[1])

    async def tree(self, tree_id: str) -> TaskTree | None:
        self._check_open()
        row = self._trees.get(tree_id)
        return None if row is None else row.tree()

    async def existing(self, task_ids: Sequence[str]) -> list[str]:
        self._check_open()
        return [task_id for task_id in task_ids if task_id in self._places]

    async def children(self, task_id: str) -> list[Task]:
        self._check_open()
        place = self._places.get(task_id)
        if place is None:
            return []
        row = self._trees[place[0]]
        return [row.task(n) for n in sorted(row.tasks) if row.tasks[n].parent_id == task_id]

    async def find(self, query: TaskQuery) -> Page:
        self._check_open()
        number, after = _place(query.cursor)
        found = list(self._matching(query))
        rest = [(tree, n) for tree, n, _ in found if tree.number < number or (tree.number == number and n > after)]
        page, more = rest[: query.limit], len(rest) > query.limit
        trees = {tree.record["id"]: tree.bare() for tree, _ in page}
        cursor = f"{page[-1][0].number}.{page[-1][1]}" if more and page else None
        return Page(tuple(tree.task(n) for tree, n in page), trees, cursor, len(found))

    async def count(self, query: TaskQuery) -> dict[str, int]:
        self._check_open()
        return dict(Counter(_status(found, query) for found in self._matching(query)))

    def _matching(self, query: TaskQuery) -> Iterator[_Found]:
        """Newest tree first, within it in the order of creation."""
        for tree in reversed(self._trees.values()):
            if query.user_id not in (None, tree.record["user_id"]) or query.context_id not in (None, tree.record["context_id"]):
                continue
            for n in [tree.root] if query.root_only else sorted(tree.tasks):
                if _matches(found := (tree, n, tree.tasks[n]), query):
                    yield found

    async def open_trees(self) -> list[str]:
        self._check_open()
        opened = [tree.record for tree in self._trees.values() if tree.open]
        return [record["id"] for record in sorted(opened, key=itemgetter("requested_at"))]

    async def events(self, tree_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        self._check_open()
        row = self._trees.get(tree_id)
        if row is None:
            return []
        first = bisect_right(row.events, after, key=itemgetter(0))
        return [row.event(run, raw) for _, run, raw in row.events[first : first + limit]]

    async def attempts(self, tree_id: str, n: int | None = None) -> list[Attempt]:
        self._check_open()
        row = self._trees.get(tree_id)
        return [] if row is None else [row.attempt(attempt) for attempt in row.attempts if n in (None, attempt[0])]

    async def resolved(self, tree_id: str) -> dict[int, bytes]:
        self._check_open()
        row = self._trees.get(tree_id)
        return {} if row is None else {n: task.resolved for n, task in row.tasks.items() if task.resolved is not None}

    async def record(self, namespace: str, key: str) -> Record | None:
        self._check_open()
        return self._records.get(namespace, key)

    async def records(self, namespace: str, prefix: str = "") -> list[Record]:
        self._check_open()
        return self._records.starting_with(namespace, prefix)

    async def info(self) -> dict[str, Json]:
        self._check_open()
        return {
            "location": "memory:",
            "schema": None,
            "size": None,
            "durability": "memory",
            "trees": len(self._trees),
            "tasks": len(self._places),
            "records": len(self._records),
        }

    async def migrate(self) -> list[str]:
        self._check_open()
        return []

    async def check(self) -> list[str]:
        self._check_open()
        return []

    async def backup(self, target: str) -> None:
        """Refused: what lives in memory is not meant to outlive it."""
        raise errors.StorageUnavailable(f"memory: cannot be copied to {target}; use a storage that lasts, as sqlite:///flow.db")

    async def close(self) -> None:
        self._closed = True
        self._trees.clear()
        self._places.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise errors.StorageUnavailable("memory: is closed")


def _fits(tree: TreeRow | None, change: Change) -> bool:
    """Whether the token is the tree's, and every task stands where its changes, one after the other, expect it."""
    if tree is None or tree.record["token"] != change.token:
        return False
    if not all(n in tree.tasks for n, _ in change.updates):
        return False
    statuses: dict[int, str] = {}
    for n, expected, status in _transitions(change):
        row = tree.tasks.get(n)
        if row is None or statuses.get(n, row.status) != expected:
            return False
        statuses[n] = status
    return True


def _transitions(change: Change) -> Iterator[tuple[int, str, str]]:
    for move in change.moves:
        yield move[:3]
    for n, _, _ in change.claims:
        yield n, "pending", "in_progress"
    for n, _, _ in change.completions:
        yield n, "in_progress", "completed"


def _apply(tree: TreeRow, change: Change) -> None:
    for move in change.moves:
        tree.tasks[move[0]].move(move, change.run)
    for n, fields in change.updates:
        tree.tasks[n].update(fields)
    for n, attempt, at in change.claims:
        row = tree.tasks[n]
        row.status, row.run, row.attempt, row.started_at = "in_progress", change.run, attempt, row.started_at or at
    for n, at, result in change.completions:
        row = tree.tasks[n]
        row.status, row.completed_at, row.result, row.progress, row.wait = "completed", at, result, 1.0, None
    tree.attempts += change.attempts
    tree.add_events(change.run, change.events)
    tree.record |= change.tree
    tree.record["status"] = TaskStatus(tree.record["status"])


def _matches(found: _Found, query: TaskQuery) -> bool:
    tree, _, row = found
    changed_at = max(row.updated_at(tree.record["created_at"]), tree.record["status_at"] if query.root_only else 0)
    return (
        (query.statuses is None or _status(found, query) in query.statuses)
        and query.name in (None, row.name)
        and (query.changed_since is None or changed_at >= query.changed_since)
        and (query.unchanged_since is None or changed_at < query.unchanged_since)
    )


def _status(found: _Found, query: TaskQuery) -> str:
    tree, _, row = found
    return str(tree.record["status"] if query.root_only else row.status)


def _place(cursor: str | None) -> tuple[float, int]:
    """The tree's number and the task's after which a page starts."""
    if cursor is None:
        return float("inf"), -1
    number, _, n = cursor.partition(".")
    if not (number.isdecimal() and n.isdecimal()):
        raise errors.InvalidParams(f"cursor = {errors.shortened(cursor)}: is not one that a listing handed out")
    return int(number), int(n)
