"""What running costs grows with the number of tasks and dependencies, and with nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from samples import group, noop, task

from apflow import memory
from apflow.testing import engine_of
from apflow_hookspecs import StorageScheme, executor, hookimpl


class Counting:
    """The in-memory storage, whose calls and rows are counted."""

    def __init__(self):
        self.calls = Counter()
        self.rows = 0

    @hookimpl
    def apflow_storages(self):
        yield StorageScheme("counting", self.open)

    async def open(self, url, options):
        return Counted(await memory.open_memory(url, options), self)


class Counted:
    def __init__(self, storage, counting):
        self._storage = storage
        self._counting = counting

    def __getattr__(self, name):
        self._counting.calls[name] += 1
        return getattr(self._storage, name)

    async def commit(self, batch):
        self._counting.calls["commit"] += 1
        for change in batch.changes.values():
            for rows in (change.moves, change.updates, change.claims, change.completions, change.attempts, change.events):
                self._counting.rows += len(rows)
        return await self._storage.commit(batch)


def chain(size):
    return [group("root"), *(task(f"t{i}", "noop", dependencies=[f"t{i - 1}"] if i else []) for i in range(size))]


def fan_out(size):
    leaves = [task(f"t{i}", "noop") for i in range(size)]
    return [group("root"), *leaves, task("join", "noop", dependencies=[leaf["id"] for leaf in leaves])]


def chain_backwards(size):
    return [group("root"), *(task(f"t{i}", "noop", dependencies=[f"t{i + 1}"] if i < size - 1 else []) for i in range(size))]


async def costs(tasks):
    counting = Counting()
    async with engine_of(noop, url="counting:", plugins={"counting": counting}) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        counting.calls.clear()
        counting.rows = 0
        done = await asyncio.wait_for(engine.manager.distribute_task_tree(tree), 100)
    assert done.status == "completed"
    return counting


@pytest.mark.parametrize("shape", [chain, fan_out, chain_backwards])
async def test_storage_operations_per_task_stay_the_same(shape):
    small, large = await costs(shape(1_000)), await costs(shape(10_000))

    assert set(large.calls) <= {"commit", "close"}, "nothing is read while a tree runs"
    assert large.calls["commit"] <= 10 * small.calls["commit"] + 10
    assert large.rows / 10_000 == pytest.approx(small.rows / 1_000, rel=0.01)
    assert large.rows / 10_000 < 4.1  # a claim, a completion, and an event for each


async def test_commits_are_shared_by_the_tasks_that_run_side_by_side():
    counted = await costs(fan_out(3_200))

    assert counted.calls["commit"] <= 3_200 / 32 + 10


async def test_a_task_of_which_nothing_is_asked_gets_nothing_made(monkeypatch):
    """No context, no policy chain, no event object: what nobody looks at is not built."""
    made = Counter()
    for target in ("apflow.runner.TaskContext", "apflow.events.as_event"):
        monkeypatch.setattr(target, lambda *_, target=target, **__: made.update([target]))

    @executor("plain")
    async def plain(x: int = 0):
        return x

    async with engine_of(plain) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), *(task(f"t{i}", "plain", x=i) for i in range(20))]
        )
        done = await engine.manager.distribute_task_tree(tree)

    assert done.status == "completed"
    assert not made
