"""Random batches, written to a storage and to the in-memory one, which is the model: both say and hold the same.

    class TestMyStorageModel(StorageModelContract):
        @pytest.fixture
        async def storage(self): ...

Needs `hypothesis`.
"""

from __future__ import annotations

from typing import Any

import msgspec.json
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apflow.memory.storage import MemoryStorage
from apflow.testing.storage_samples import NOON, sample_tree, stored
from apflow_hookspecs import Batch, Change, Dependency, RecordWrite, Storage, TaskQuery

_STATUSES = ("pending", "in_progress", "waiting", "completed", "failed", "cancelled", "skipped")
_WAIT = msgspec.json.encode({"kind": "until", "until": NOON, "prompt": None, "schema": None, "answer": None})

_ids = st.sampled_from(["a", "b", "c"])
_tokens = st.sampled_from(["token", "token", "token", "token", "another"])
_numbers = st.integers(0, 4)
_instants = st.integers(NOON, NOON + 1_000_000)
_small = st.integers(0, 3)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc$", max_size=3), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
_documents = _values.map(msgspec.json.encode)
_objects = st.dictionaries(st.text("abc", max_size=2), _values, max_size=2)

_moves = st.tuples(
    _numbers, st.sampled_from(_STATUSES[:3]), st.sampled_from(_STATUSES), _instants, _small, _small,
    st.none() | _documents, st.none() | _objects.map(msgspec.json.encode), st.sampled_from([None, _WAIT]),
)  # fmt: skip
_updates = st.tuples(
    _numbers,
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["root", "task-1", "renamed"]),
            "inputs": _objects,
            "labels": _objects,
            "priority": st.integers(0, 9),
            "timeout": st.none() | st.floats(0.5, 10),
            "progress": st.floats(0, 1),
            "resolved": st.none() | _documents,
            "updated_at": _instants,
        },
    ).filter(bool),
)
_attempts = st.tuples(
    _numbers, _small, _small, st.none() | _instants, _instants, st.just("retried"),
    st.none() | _documents, st.none() | _documents, st.none() | _documents,
)  # fmt: skip


@st.composite
def _trees(draw: st.DrawFn, id: str) -> Any:
    root = draw(st.sampled_from([id, id, id, "b"]))
    tasks: dict[int, dict[str, Any]] = {n: {"inputs": draw(_objects), "priority": draw(_small)} for n in range(1, 5)}
    tasks[4]["dependencies"] = tuple(
        Dependency(f"{root}.{n}", draw(st.sampled_from([f"task-{n}", "word"])), draw(st.booleans()))
        for n in draw(st.sets(st.integers(1, 3)))
    )
    return sample_tree(root, 5, tasks=tasks, user_id=draw(st.sampled_from([None, "ada"])), run=draw(_small))


@st.composite
def _changes(draw: st.DrawFn) -> Change:
    few: Any = lambda rows: draw(st.lists(rows, max_size=2))  # noqa: E731 - shorter than its name would be
    return Change(
        draw(_tokens),
        draw(_small),
        moves=few(_moves),
        updates=few(_updates),
        claims=few(st.tuples(_numbers, _small, _instants)),
        completions=few(st.tuples(_numbers, _instants, _documents)),
        attempts=few(_attempts),
        tree=draw(st.sampled_from([{}, {"status": "failed", "status_at": NOON + 5}, {"requested_at": NOON, "run": 3}])),
    )


_records = st.builds(
    RecordWrite,
    st.sampled_from(["x", "y"]),
    st.sampled_from(["k", "k2"]),
    st.none() | _documents,
    st.none() | _small,
    st.sampled_from([None, 1, 2**60]),
)
_deletes = st.tuples(_ids, _tokens, st.none() | st.lists(_numbers.filter(bool), min_size=1, max_size=2, unique=True))
_batches = st.builds(
    Batch,
    records=st.lists(_records, max_size=2),
    trees=st.lists(_ids.flatmap(_trees), max_size=2, unique_by=lambda tree: tree.id),
    changes=st.dictionaries(_ids, _changes(), max_size=2),
    deletes=st.lists(_deletes, max_size=1),
)


def _numbered(batch: Batch, last: dict[str, int]) -> Batch:
    """A batch whose changes each tell an event, numbered as the engine does."""
    for id, change in batch.changes.items():
        seq = last.get(id, 0) + 1
        change.events = [(seq, "task_updated", 1, "pending", NOON, 0, None, None)]
    return batch


async def _held(storage: Storage) -> list[Any]:
    page = await storage.find(TaskQuery(limit=1000))
    return [
        [task.id for task in page.tasks],
        page.total,
        await storage.count(TaskQuery()),
        await storage.count(TaskQuery(root_only=True, user_id="ada")),
        await storage.open_trees(),
        *[await storage.records(namespace) for namespace in ("x", "y")],
        *[await stored(storage, id) for id in ("a", "b", "c")],
        *[await storage.events(id) for id in ("a", "b", "c")],
        *[await storage.attempts(id) for id in ("a", "b", "c")],
        *[await storage.resolved(id) for id in ("a", "b", "c")],
    ]


async def _clear(storage: Storage) -> None:
    page = await storage.find(TaskQuery(root_only=True))
    keys = [(record.namespace, record.key) for namespace in ("x", "y") for record in await storage.records(namespace)]
    records = [RecordWrite(*key, None) for key in keys]
    assert await storage.commit(Batch(records=records, deletes=[(tree.id, tree.token, None) for tree in page.trees.values()]))


class StorageModelContract:
    """Inherit from it, name the class `Test…`, and give it an async fixture `storage`."""

    pytestmark = pytest.mark.asyncio

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(batches=st.lists(_batches, min_size=1, max_size=8))
    async def test_whatever_is_written_it_holds_what_the_model_holds(self, storage: Storage, batches: list[Batch]) -> None:
        await _clear(storage)
        model = MemoryStorage()
        await model.commit(Batch(trees=[first := sample_tree("a", 5)]))
        await storage.commit(Batch(trees=[first]))
        for batch in batches:
            trees = [await model.tree(id) for id in ("a", "b", "c")]
            numbered = _numbered(batch, {tree.id: tree.last_event for tree in trees if tree is not None})
            expected, committed = await model.commit(numbered), await storage.commit(numbered)
            assert (set(committed.lost), committed.taken, set(committed.stale)) == (
                set(expected.lost), expected.taken, set(expected.stale)
            )  # fmt: skip
            assert await _held(storage) == await _held(model)
