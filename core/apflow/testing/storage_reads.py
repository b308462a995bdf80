"""What is read, and what is gone after a deletion."""

from __future__ import annotations

from typing import Any

import pytest

from apflow.testing.storage_samples import NOON, TOKEN, apply, insert, sample_tree, shown, stored, stored_task
from apflow_hookspecs import Batch, Storage, TaskQuery, TaskStatus, errors

DAY = 86_400_000_000


async def pages(storage: Storage, query: dict[str, Any]) -> list[list[str]]:
    """The ids on each page of a listing; every page tells the total."""
    found: list[list[str]] = []
    totals = set()
    cursor = None
    while not found or cursor is not None:
        page = await storage.find(TaskQuery(**query, cursor=cursor))
        found.append([task.id for task in page.tasks])
        totals.add(page.total)
        cursor = page.cursor
        assert page.trees.keys() == {task.tree_id for task in page.tasks}
    assert totals == {sum(map(len, found))}
    return found


def event(seq: int, n: int | None = 1, **data: Any) -> tuple[Any, ...]:
    """An event row."""
    return (seq, "task_progress", n, "in_progress", NOON + seq, 1, "ada", data or None)


class ReadContract:
    """Single tasks, and what belongs to them."""

    async def test_what_is_not_there_is_none(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        assert await storage.task("u") is None
        assert await storage.tree("t.1") is None
        assert await storage.children("u") == []
        assert await storage.events("u") == []
        assert await storage.attempts("u") == []
        assert await storage.resolved("u") == {}
        assert await storage.existing(["u", "t.2", "nobody", "t"]) == ["t.2", "t"]

    async def test_a_task_is_the_same_however_it_is_read(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", user_id="ada"))
        tree = await storage.tree("t")
        assert tree is not None
        for task in tree:
            assert shown(await stored_task(storage, task.id)) == shown(task)
        assert [shown(task) for task in await storage.children("t")] == [shown(task) for task in tree][1:]
        assert [shown(task) for task in (await storage.find(TaskQuery())).tasks] == [shown(task) for task in tree]

    async def test_what_was_handed_out_is_its_readers_own(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", tasks={1: {"inputs": {"a": [1]}, "result": {"b": [2]}}}))
        before = await stored(storage, "t")
        tree = await storage.tree("t")
        assert tree is not None
        task = tree.tasks.pop("task-1")
        task.inputs["a"].append(2)
        task.result["b"].clear()
        task.status = TaskStatus.FAILED
        tree.status = TaskStatus.FAILED
        assert await stored(storage, "t") == before

    async def test_children_come_in_the_order_of_creation(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", 5, tasks={3: {"parent_id": "t.1"}, 4: {"parent_id": "t.1"}}))
        assert [task.id for task in await storage.children("t")] == ["t.1", "t.2"]
        assert [task.id for task in await storage.children("t.1")] == ["t.3", "t.4"]
        assert await storage.children("t.3") == []

    async def test_events_are_read_from_a_number_on(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"), sample_tree("u"))
        await apply(storage, "t", events=[event(1, None), event(2, part=0.5), event(3)])
        await apply(storage, "u", events=[event(1)])
        await apply(storage, "t", run=2, events=[event(4, 2), event(5)])
        found = await storage.events("t")
        assert [(each.seq, each.run, each.task_id) for each in found] == [
            (1, 1, None), (2, 1, "t.1"), (3, 1, "t.1"), (4, 2, "t.2"), (5, 2, "t.1"),
        ]  # fmt: skip
        second = found[1]
        assert (second.tree_id, second.type, second.status, second.at) == ("t", "task_progress", "in_progress", NOON + 2)
        assert (second.attempt, second.actor, second.data) == (1, "ada", {"part": 0.5})
        assert [each.seq for each in await storage.events("t", 1, 3)] == [2, 3, 4]
        assert [each.seq for each in await storage.events("t", 4)] == [5]
        assert await storage.events("t", 5) == []
        tree = await storage.tree("t")
        assert tree is not None
        assert tree.last_event == 5

    async def test_attempts_come_oldest_first(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        failed = (1, 1, 1, NOON + 1, NOON + 2, "retried", b'{"x":1}', None, b'{"code":"failed"}')
        await apply(storage, "t", attempts=[failed, (2, 1, 1, None, NOON + 3, "cancelled", None, None, None)])
        await apply(storage, "t", attempts=[(1, 1, 1, NOON + 4, NOON + 5, "recovered", None, b"null", None)])
        found = await storage.attempts("t")
        assert [(each.task_id, each.outcome) for each in found] == [
            ("t.1", "retried"), ("t.2", "cancelled"), ("t.1", "recovered"),
        ]  # fmt: skip
        first = (await storage.attempts("t", 1))[0]
        assert (first.attempt, first.run, first.started_at, first.ended_at) == (1, 1, NOON + 1, NOON + 2)
        assert (first.inputs, first.result, first.error) == ({"x": 1}, None, {"code": "failed"})
        assert [each.outcome for each in await storage.attempts("t", 2)] == ["cancelled"]
        assert await storage.attempts("t", 0) == []


class ListingContract:
    """Pages, counts, and the trees that are to be gone on with."""

    async def test_a_listing_goes_from_the_newest_tree_and_within_it_in_the_order_of_creation(self, storage: Storage) -> None:
        for id in ("a", "b", "c"):
            await insert(storage, sample_tree(id))
        assert await pages(storage, {}) == [["c", "c.1", "c.2", "b", "b.1", "b.2", "a", "a.1", "a.2"]]
        assert await pages(storage, {"limit": 4}) == [["c", "c.1", "c.2", "b"], ["b.1", "b.2", "a", "a.1"], ["a.2"]]
        assert await pages(storage, {"limit": 3}) == [["c", "c.1", "c.2"], ["b", "b.1", "b.2"], ["a", "a.1", "a.2"]]
        assert await pages(storage, {"root_only": True, "limit": 2}) == [["c", "b"], ["a"]]

    async def test_a_cursor_stays_where_it_was_when_newer_trees_come(self, storage: Storage) -> None:
        await insert(storage, sample_tree("a"), sample_tree("b"))
        page = await storage.find(TaskQuery(limit=4))
        await insert(storage, sample_tree("c"))
        rest = await storage.find(TaskQuery(limit=4, cursor=page.cursor))
        assert [task.id for task in rest.tasks] == ["a.1", "a.2"]
        assert rest.total == 9

    @pytest.mark.parametrize("cursor", ["", "x", "1", "1.x", "-1.2", "1.2.3", "1.2; DROP TABLE tasks"])
    async def test_a_cursor_that_was_not_handed_out_is_refused(self, storage: Storage, cursor: str) -> None:
        await insert(storage, sample_tree("a"))
        with pytest.raises(errors.InvalidParams, match="cursor"):
            await storage.find(TaskQuery(cursor=cursor))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, {"a", "a.1", "a.2", "b", "b.1", "b.2"}),
            ({"statuses": ("in_progress",)}, {"a.1"}),
            ({"statuses": ("in_progress", "failed", "no such status")}, {"a.1", "b.2"}),
            ({"statuses": ()}, set()),
            ({"user_id": "ada"}, {"a", "a.1", "a.2"}),
            ({"context_id": "talk"}, {"b", "b.1", "b.2"}),
            ({"name": "special"}, {"b.1"}),
            ({"name": "task-1"}, {"a.1"}),
            ({"changed_since": NOON + 1}, {"a.1", "b", "b.1", "b.2"}),
            ({"changed_since": NOON + DAY + 1}, {"b.2"}),
            ({"unchanged_since": NOON + 1}, {"a", "a.2"}),
            ({"changed_since": NOON + 1, "unchanged_since": NOON + DAY + 1}, {"a.1", "b", "b.1"}),
            ({"user_id": "ada", "statuses": ("pending",)}, {"a", "a.2"}),
            ({"root_only": True}, {"a", "b"}),
            ({"root_only": True, "statuses": ("in_progress",)}, {"a"}),
            ({"root_only": True, "statuses": ("pending",)}, {"b"}),
            ({"root_only": True, "changed_since": NOON + 5}, {"a", "b"}),
            ({"root_only": True, "unchanged_since": NOON + 5}, set()),
            ({"root_only": True, "unchanged_since": NOON + DAY + 1}, {"a", "b"}),
            ({"root_only": True, "user_id": "ada"}, {"a"}),
        ],
        ids=str,
    )
    async def test_a_listing_finds_what_was_asked_for(
        self, storage: Storage, query: dict[str, Any], expected: set[str]
    ) -> None:
        failed = {"status": TaskStatus.FAILED, "completed_at": NOON + DAY + 1}
        await insert(storage, sample_tree("a", user_id="ada"))
        await insert(
            storage, sample_tree("b", context_id="talk", created_at=NOON + DAY, tasks={1: {"name": "special"}, 2: failed})
        )
        await apply(storage, "a", claims=[(1, 1, NOON + 1)], tree={"status": "in_progress", "status_at": NOON + 5})
        for limit in (1, 2, 100):
            found = await pages(storage, {**query, "limit": limit})
            assert {id for page in found for id in page} == expected
        assert sum((await storage.count(TaskQuery(**query))).values()) == len(expected)

    async def test_a_page_carries_the_records_of_its_trees(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", user_id="ada", context_id="talk"))
        tree = (await storage.find(TaskQuery(root_only=True))).trees["t"]
        assert (tree.id, tree.user_id, tree.context_id, tree.created_at, tree.tasks) == ("t", "ada", "talk", NOON, {})

    async def test_tasks_are_counted_by_status_and_trees_by_theirs(self, storage: Storage) -> None:
        assert await storage.count(TaskQuery()) == {}
        await insert(storage, sample_tree("a"), sample_tree("b", status=TaskStatus.WAITING))
        await apply(storage, "a", claims=[(1, 1, NOON), (2, 1, NOON)])
        assert await storage.count(TaskQuery()) == {"pending": 4, "in_progress": 2}
        assert await storage.count(TaskQuery(limit=1)) == {"pending": 4, "in_progress": 2}
        assert await storage.count(TaskQuery(root_only=True)) == {"pending": 1, "waiting": 1}

    async def test_open_trees_come_in_the_order_of_their_requests(self, storage: Storage) -> None:
        requested: dict[str, Any] = {"requested_at": NOON + 1, "run": 1}
        await insert(
            storage,
            sample_tree("never asked to run"),
            sample_tree("waits", status=TaskStatus.WAITING, **{**requested, "requested_at": NOON + 3}),
            sample_tree("runs", status=TaskStatus.IN_PROGRESS, status_at=NOON + 9, **requested),
            sample_tree("began", status=TaskStatus.IN_PROGRESS, **{**requested, "requested_at": NOON + 2}),
            sample_tree("left some pending", **requested, status_at=NOON),
            *(sample_tree(status, status=status, **requested) for status in ("completed", "failed", "cancelled", "skipped")),
        )
        assert await storage.open_trees() == ["runs", "began", "waits"]
        await apply(storage, "runs", tree={"status": "completed", "status_at": NOON + 10})
        assert await storage.open_trees() == ["began", "waits"]


class DeletionContract:
    """Trees and parts of trees that are deleted."""

    async def test_a_deleted_tree_leaves_nothing(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"), sample_tree("u"))
        attempt = (1, 1, 1, None, NOON, "retried", None, None, None)
        await apply(storage, "t", events=[event(1)], attempts=[attempt], updates=[(1, {"resolved": b"{}"})])
        await apply(storage, "u", events=[event(1)], attempts=[attempt])
        assert await storage.commit(Batch(deletes=[("t", TOKEN, None)]))
        assert await storage.tree("t") is None
        assert await storage.task("t.1") is None
        assert await storage.resolved("t") == {}
        assert (await storage.find(TaskQuery())).total == 3
        await insert(storage, sample_tree("t"))
        assert await storage.events("t") == []
        assert await storage.attempts("t") == []
        assert len(await storage.events("u")) == len(await storage.attempts("u")) == 1

    async def test_a_deleted_part_leaves_the_rest_and_the_events(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", 4))
        attempt = (2, 1, 1, None, NOON, "retried", None, None, None)
        await apply(storage, "t", events=[event(1, 2), event(2, 3)], attempts=[attempt])
        assert await storage.commit(Batch(deletes=[("t", TOKEN, [2])]))
        tree = await storage.tree("t")
        assert tree is not None
        assert [(task.n, task.id) for task in tree] == [(0, "t"), (1, "t.1"), (3, "t.3")]
        assert await storage.task("t.2") is None
        assert [each.task_id for each in await storage.events("t")] == ["t.2", "t.3"]
        assert await storage.attempts("t") == []

    async def test_a_dependency_on_a_deleted_task_is_gone_with_it(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", 4))
        assert await storage.commit(Batch(deletes=[("t", TOKEN, [2])]))
        assert (await stored_task(storage, "t.3")).dependencies == ()
        tree = await storage.tree("t")
        assert tree is not None
        assert tree.tasks["task-3"].dependencies == ()

    @pytest.mark.parametrize("delete", [("t", "another", None), ("t", "another", [1]), ("t", TOKEN, [1, 9])])
    async def test_a_deletion_that_loses_deletes_nothing(self, storage: Storage, delete: tuple[str, str, Any]) -> None:
        await insert(storage, sample_tree("t"), sample_tree("u"))
        before = await stored(storage, "t")
        committed = await storage.commit(Batch(deletes=[("u", TOKEN, None), delete]))
        assert committed.lost == ("t",)
        assert await stored(storage, "t") == before
        assert await storage.tree("u") is not None
