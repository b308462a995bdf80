"""What a batch does, and when it does nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec.json
import pytest

from apflow.testing.storage_samples import (
    NOON,
    apply,
    change,
    insert,
    loses,
    sample_tree,
    shown_tree,
    stored,
    stored_task,
)
from apflow_hookspecs import Batch, Change, Dependency, RecordWrite, Storage, TaskStatus, Wait

CLAIMED = {"claims": [(1, 1, NOON + 1)]}
COMPLETED: dict[str, Any] = {"completions": [(1, NOON + 2, b'"done"')]}

EXACT = [
    None,
    0,
    -0.0,
    0.1,
    1e-320,
    1.0,
    2**63 - 1,
    -(2**63),
    "",
    "ünï ☃ 🎉 \u202e right to left \u2028 \x7f \\ \" '",
    {"": {"deep": [[], {}, [None, True, False]]}},
    "x" * 1_000_000,
]


class InsertContract:
    """Trees that are inserted."""

    async def test_a_tree_comes_back_as_it_was_inserted(self, storage: Storage) -> None:
        tree = sample_tree("t", user_id="ada", origin="remote", context_id="talk")
        await insert(storage, tree)
        assert await stored(storage, "t") == shown_tree(tree)

    async def test_every_field_of_a_task_comes_back(self, storage: Storage) -> None:
        first = {
            "name": "First", "inputs": {"a": {"$from": "root"}}, "params": {"b": [1]},
            "policies": {"retry": {"max_attempts": 3}}, "schemas": {"input_schema": {"type": "object"}},
            "priority": 0, "timeout": 1.5, "on_crash": "fail",
            "labels": {"gpu": True}, "original_task_id": "other.1",
        }  # fmt: skip
        edges = (Dependency("t.1", "First", required=False), Dependency("t", "root"))
        tree = sample_tree("t", tasks={1: first, 2: {"dependencies": edges, "priority": 9, "key": "t.2"}})
        await insert(storage, tree)
        assert await stored(storage, "t") == shown_tree(tree)

    async def test_a_task_that_is_not_new_comes_back_as_it_stands(self, storage: Storage) -> None:
        wait = Wait("input", NOON + 5, "Sure?", {"type": "boolean"}, answer=True)
        states: list[dict[str, Any]] = [
            {"status": TaskStatus.COMPLETED, "result": {"x": 1}, "progress": 1.0, "run": 2, "attempt": 3, "recoveries": 1,
             "started_at": NOON + 1, "completed_at": NOON + 2, "updated_at": NOON + 2},
            {"status": TaskStatus.FAILED, "error": {"code": "failed", "message": "no", "details": None}, "progress": 0.5,
             "attempt": 1, "started_at": NOON + 1, "completed_at": NOON + 2, "updated_at": NOON + 7},
            {"status": TaskStatus.WAITING, "wait": wait, "attempt": 1, "started_at": NOON + 1, "updated_at": NOON + 3},
            {"updated_at": NOON + 4},
        ]  # fmt: skip
        tree = sample_tree("t", 6, tasks=dict(enumerate(states, 1)), status=TaskStatus.WAITING, run=2, requested_at=NOON)
        await insert(storage, tree)
        assert await stored(storage, "t") == shown_tree(tree)

    async def test_the_root_may_stand_anywhere_in_the_order(self, storage: Storage) -> None:
        tree = sample_tree("t")
        tree.tasks = dict(reversed(tree.tasks.items()))
        for n, task in enumerate(tree.tasks.values()):
            task.n = n
        await insert(storage, tree)
        assert await stored(storage, "t") == shown_tree(tree)

    async def test_what_is_done_to_an_inserted_tree_afterwards_is_not_stored(self, storage: Storage) -> None:
        tree = sample_tree("t")
        before = shown_tree(tree)
        await insert(storage, tree)
        tree.tasks["task-1"].status = TaskStatus.FAILED
        tree.tasks["task-1"].result = "changed"
        assert await stored(storage, "t") == before

    async def test_an_id_that_is_taken_is_named_and_nothing_is_written(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        clashing = sample_tree("u", tasks={2: {"id": "t.2"}})
        committed = await storage.commit(Batch(trees=[sample_tree("v"), clashing]))
        assert not committed
        assert (committed.taken, committed.lost) == ({"u": ("t.2",)}, ())
        assert await storage.tree("u") is None
        assert await storage.tree("v") is None

    async def test_an_id_is_taken_by_an_earlier_tree_of_the_batch(self, storage: Storage) -> None:
        committed = await storage.commit(Batch(trees=[sample_tree("t"), sample_tree("u", tasks={1: {"id": "t.1"}})]))
        assert committed.taken == {"u": ("t.1",)}
        assert await storage.tree("t") is None

    async def test_a_tree_is_inserted_and_changed_in_one_batch(self, storage: Storage) -> None:
        event = (1, "tree_created", None, "pending", NOON, 0, None, None)
        assert await storage.commit(Batch(trees=[sample_tree("t")], changes={"t": change(**CLAIMED, events=[event])}))
        assert (await stored_task(storage, "t.1")).status == "in_progress"
        assert [each.type for each in await storage.events("t")] == ["tree_created"]

    async def test_thousands_of_trees_fit_a_batch(self, storage: Storage) -> None:
        trees = [sample_tree(f"t{number}") for number in range(2_000)]
        await insert(storage, *trees)
        assert await storage.commit(Batch(changes={tree.id: change(**CLAIMED) for tree in trees}))
        assert await storage.commit(Batch(changes={tree.id: change(**COMPLETED) for tree in trees}))
        task = await stored_task(storage, "t1999.1")
        assert (task.status, task.result) == ("completed", "done")


class TransitionContract:
    """How tasks go from one status to another."""

    async def test_a_claim_starts_a_task(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", tasks={1: {"wait": Wait("input", answer=1)}}))
        await apply(storage, "t", run=2, claims=[(1, 3, NOON + 1)])
        task = await stored_task(storage, "t.1")
        assert (task.status, task.run, task.attempt) == ("in_progress", 2, 3)
        assert (task.started_at, task.updated_at, task.completed_at, task.wait) == (
            NOON + 1,
            NOON + 1,
            None,
            Wait("input", answer=1),
        )

    async def test_a_completion_ends_it(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", **CLAIMED)
        await apply(storage, "t", **COMPLETED)
        task = await stored_task(storage, "t.1")
        assert (task.status, task.result, task.progress, task.attempt) == ("completed", "done", 1.0, 1)
        assert (task.started_at, task.completed_at, task.updated_at) == (NOON + 1, NOON + 2, NOON + 2)

    @pytest.mark.parametrize("value", EXACT, ids=lambda value: ascii(value)[:30])
    async def test_a_result_comes_back_exactly(self, storage: Storage, value: Any) -> None:
        await insert(storage, sample_tree("t", tasks={2: {"inputs": {"x": value}, "result": value}}))
        await apply(storage, "t", **CLAIMED)
        await apply(storage, "t", completions=[(1, NOON + 2, msgspec.json.encode(value))])
        tree = await storage.tree("t")
        assert tree is not None
        read = [tree.tasks["task-1"].result, tree.tasks["task-2"].result, tree.tasks["task-2"].inputs["x"]]
        assert [repr(each) for each in read] == [repr(value)] * 3

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "skipped"])
    async def test_a_move_to_a_settled_status_keeps_the_start_and_sets_the_end(self, storage: Storage, status: str) -> None:
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", **CLAIMED, updates=[(1, {"progress": 0.5})])
        await apply(storage, "t", run=2, moves=[(1, "in_progress", status, NOON + 2, 4, 5, b"1", b'{"code":"x"}', None)])
        task = await stored_task(storage, "t.1")
        assert (task.status, task.run, task.attempt, task.recoveries) == (status, 2, 4, 5)
        assert (task.result, task.error, task.progress) == (1, {"code": "x"}, 1.0 if status == "completed" else 0.5)
        assert (task.started_at, task.completed_at, task.updated_at) == (NOON + 1, NOON + 2, NOON + 2)

    async def test_a_move_to_pending_clears_what_the_attempt_left(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", **CLAIMED)
        await apply(storage, "t", **COMPLETED, updates=[(1, {"resolved": b"{}"})])
        await apply(storage, "t", run=2, moves=[(1, "completed", "pending", NOON + 3, 0, 0, None, None, None)])
        task = await stored_task(storage, "t.1")
        assert (task.status, task.run, task.attempt, task.progress, task.result) == ("pending", 2, 0, 0.0, None)
        assert (task.started_at, task.completed_at, task.updated_at) == (None, None, NOON + 3)
        assert await storage.resolved("t") == {}

    async def test_a_move_to_in_progress_starts_a_group(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", moves=[(0, "pending", "in_progress", NOON + 1, 0, 0, None, None, None)])
        root = await stored_task(storage, "t")
        assert (root.status, root.started_at, root.completed_at) == ("in_progress", NOON + 1, None)

    async def test_a_wait_is_stored_with_its_answer_until_the_attempt_is_over(self, storage: Storage) -> None:
        wait = {"kind": "input", "until": NOON + 9, "prompt": "Sure?", "schema": {"type": "boolean"}, "answer": None}
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", **CLAIMED)
        waits = msgspec.json.encode(wait)
        await apply(storage, "t", moves=[(1, "in_progress", "waiting", NOON + 2, 1, 0, None, None, waits)])
        task = await stored_task(storage, "t.1")
        assert task.wait == Wait.for_input("Sure?", {"type": "boolean"}, NOON + 9)
        assert (task.status, task.started_at, task.completed_at) == ("waiting", NOON + 1, None)
        answered = msgspec.json.encode({**wait, "answer": True})
        await apply(storage, "t", moves=[(1, "waiting", "pending", NOON + 3, 1, 0, None, None, answered)])
        resumed = await stored_task(storage, "t.1")
        assert resumed.wait is not None
        assert resumed.wait.answer is True
        await apply(storage, "t", claims=[(1, 1, NOON + 4)])
        claimed = await stored_task(storage, "t.1")
        assert (claimed.wait, claimed.started_at, claimed.updated_at) == (resumed.wait, NOON + 1, NOON + 3)
        await apply(storage, "t", completions=[(1, NOON + 5, b"1")])
        assert (await stored_task(storage, "t.1")).wait is None

    async def test_the_moves_of_a_task_are_made_in_order_and_before_its_claim(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        await apply(storage, "t", **CLAIMED)
        moves = [
            (1, "in_progress", "waiting", NOON + 2, 1, 0, None, None, None),
            (1, "waiting", "pending", NOON + 3, 2, 0, None, None, None),
        ]
        await apply(storage, "t", moves=moves, claims=[(1, 2, NOON + 4)])
        task = await stored_task(storage, "t.1")
        assert (task.status, task.attempt, task.started_at) == ("in_progress", 2, NOON + 4)

    async def test_updates_set_authors_fields_and_progress(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", tasks={1: {"inputs": {"a": 1}, "params": {"b": 2}, "priority": 0}}))
        fields: dict[str, Any] = {
            "name": "Renamed", "executor": "other", "inputs": {"a": 3}, "params": {}, "priority": 5, "timeout": 2.5,
            "labels": {"gpu": 1}, "dependencies": (Dependency("t.2", "second", required=False),), "progress": 0.25,
            "run": 0, "updated_at": NOON + 8,
        }  # fmt: skip
        await apply(storage, "t", updates=[(1, fields), (2, {"name": "task-2", "dependencies": ()})])
        task = await stored_task(storage, "t.1")
        assert {name: getattr(task, name) for name in fields} == fields
        assert (await stored_task(storage, "t.2")).dependencies == ()

    async def test_resolved_inputs_are_kept_beside_the_authors(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", tasks={1: {"inputs": {"a": 1}}}))
        await apply(storage, "t", updates=[(1, {"resolved": b'{"a":2}'})])
        assert await storage.resolved("t") == {1: b'{"a":2}'}
        assert (await stored_task(storage, "t.1")).inputs == {"a": 1}

    async def test_the_trees_record_is_updated(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        fields = {"status": "in_progress", "status_at": NOON + 1, "run": 2, "requested_at": NOON + 1, "archived_at": NOON + 2}
        await apply(storage, "t", tree=fields)
        tree = await storage.tree("t")
        assert tree is not None
        assert {name: getattr(tree, name) for name in fields} == fields
        assert isinstance(tree.status, TaskStatus)
        await apply(storage, "t", tree={"status": "failed", "status_at": NOON + 3})
        again = await storage.tree("t")
        assert again is not None
        assert (again.status, again.status_at, again.run) == ("failed", NOON + 3, 2)


class LoserContract:
    """Batches that lose a race."""

    async def test_a_wrong_token_loses(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        assert await loses(storage, "t", token="another", **CLAIMED)  # noqa: S106 - of a tree's owner

    @pytest.mark.parametrize(
        "parts",
        [
            {"moves": [(1, "in_progress", "failed", NOON, 1, 0, None, None, None)]},
            {"moves": [(9, "pending", "failed", NOON, 1, 0, None, None, None)]},
            {"claims": [(1, 1, NOON), (1, 1, NOON)]},
            {"claims": [(9, 1, NOON)]},
            {"completions": [(1, NOON, b"1")]},
            {"updates": [(9, {"progress": 0.5})]},
            {"updates": [(9, {"inputs": {"a": 1}})]},
        ],
        ids=["move", "move of none", "second claim", "claim of none", "completion", "update of none", "inputs of none"],
    )
    async def test_a_task_that_does_not_stand_where_expected_loses(self, storage: Storage, parts: dict[str, Any]) -> None:
        await insert(storage, sample_tree("t"))
        event = (1, "task_started", 1, "in_progress", NOON, 1, None, None)
        assert await loses(storage, "t", **parts, events=[event], tree={"status": "failed"})
        assert await storage.events("t") == []

    async def test_a_tree_that_is_not_there_loses(self, storage: Storage) -> None:
        assert await loses(storage, "nowhere", **CLAIMED)
        committed = await storage.commit(Batch(deletes=[("nowhere", "token", None)]))
        assert committed.lost == ("nowhere",)

    async def test_one_loser_keeps_the_whole_batch_from_being_written_and_the_rest_can_be_again(self, storage: Storage) -> None:
        await insert(storage, *(sample_tree(id) for id in ("a", "b", "c", "d")))
        await apply(storage, "b", **CLAIMED)
        changes = {id: change(**CLAIMED) for id in ("a", "b", "c")} | {"d": Change("another", 1)}
        batch = Batch([RecordWrite("x", "k", b"1")], [sample_tree("new")], changes)
        committed = await storage.commit(batch)
        assert not committed
        assert (set(committed.lost), committed.taken, committed.stale) == ({"b", "d"}, {}, ())
        assert (await stored_task(storage, "a.1")).status == "pending"
        assert await storage.tree("new") is None
        assert await storage.record("x", "k") is None
        batch.changes = {id: each for id, each in changes.items() if id not in committed.lost}
        assert await storage.commit(batch)
        assert (await stored_task(storage, "c.1")).status == "in_progress"

    async def test_all_kinds_of_losers_are_told_at_once(self, storage: Storage) -> None:
        await insert(storage, sample_tree("a"), sample_tree("b"))
        batch = Batch([RecordWrite("x", "k", b"1", 7)], [sample_tree("a")], {"b": change(**COMPLETED)})
        committed = await storage.commit(batch)
        assert committed.stale == (("x", "k"),)
        assert committed.lost == ("b",)
        assert committed.taken == {"a": ("a", "a.1", "a.2")}

    async def test_the_latest_owners_token_counts(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t"))
        assert await storage.acquire("t", "second", "2@there")
        tree = await storage.tree("t")
        assert tree is not None
        assert (tree.token, tree.owner) == ("second", "2@there")
        assert await loses(storage, "t", **CLAIMED)
        await storage.release("t", "token")
        assert await storage.commit(Batch(changes={"t": Change("second", 1)}))
        await storage.release("t", "second")
        assert await loses(storage, "t", token="second")  # noqa: S106 - of a tree's owner
        released = await storage.tree("t")
        assert released is not None
        assert (released.token, released.owner) == ("", None)

    async def test_a_tree_that_is_not_there_cannot_be_acquired(self, storage: Storage) -> None:
        assert not await storage.acquire("nowhere", "token", "1@here")

    async def test_commits_that_run_into_each_other_are_all_written(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", 40))
        batches = [Batch(changes={"t": change(claims=[(n, 1, NOON + n)])}) for n in range(1, 40)]
        assert all(await asyncio.gather(*map(storage.commit, batches)))
        tree = await storage.tree("t")
        assert tree is not None
        assert [task.status for task in tree] == ["pending", *["in_progress"] * 39]

    async def test_a_caller_who_is_cancelled_leaves_the_storage_able_to_write(self, storage: Storage) -> None:
        await insert(storage, sample_tree("t", 30))
        for n in range(1, 30):
            batch = Batch(changes={"t": change(claims=[(n, 1, NOON)])})
            committing = asyncio.ensure_future(storage.commit(batch))
            for _ in range(n % 5):
                await asyncio.sleep(0)
            committing.cancel()
            await asyncio.wait([committing])
        await insert(storage, sample_tree("u"))
        assert await storage.tree("u") is not None
