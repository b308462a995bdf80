"""A caller who is cancelled at any await, before or after what it waits for is there, leaves a storage that can write."""

from __future__ import annotations

import asyncio
import types
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from apflow.testing.storage_samples import NOON, change, insert, sample_tree
from apflow_hookspecs import Batch, StorageOptions, TaskQuery, errors
from apflow_sqlite import open_sqlite


@types.coroutine
def cancelled_at(awaited, k, *, late):
    """Await something, and cancel the current task at its k-th await; whether there was one.

    Args:
        late: Cancel when what is waited for is there, but before the task goes on.
    """
    task = asyncio.current_task()
    steps = awaited.__await__()
    go_on = partial(steps.send, None)
    for number in count(1):
        try:
            future = go_on()
        except StopIteration:
            return number > k
        if number == k and late and future is not None:
            future.add_done_callback(lambda _: task.cancel())
        elif number == k:
            task.cancel()
        try:
            yield future
            go_on = partial(steps.send, None)
        except asyncio.CancelledError as cancelled:
            go_on = partial(steps.throw, cancelled)
    raise AssertionError


async def storm(call, afterwards, *, late):
    """Make a call once for each of its awaits, with the caller cancelled there; the number of awaits."""
    for k in count(1):
        task = asyncio.ensure_future(_cancelled_at(call(k), k, late=late))
        await asyncio.wait([task])
        await afterwards(k)
        if not task.cancelled() and not task.result():
            return k - 1
    raise AssertionError


async def _cancelled_at(awaited, k, *, late):
    return await cancelled_at(awaited, k, late=late)


@pytest.fixture(params=[False, True], ids=["early", "late"])
def late(request):
    return request.param


async def test_a_commit(storage, late):
    await insert(storage, sample_tree("t", 100))

    def commit(k):
        return storage.commit(Batch(changes={"t": change(claims=[(k, 1, NOON)])}))

    async def afterwards(k):
        await insert(storage, sample_tree(f"after-{k}"))
        assert (await storage.task(f"t.{k}")).status == "in_progress"

    assert await storm(commit, afterwards, late=late) >= 1


@pytest.mark.parametrize("after", [False, True], ids=["before it is made", "after it is made"])
async def test_a_commit_that_meets_an_io_error(faults, path, late, after):
    storage = await open_sqlite(f"sqlite:///{path}", StorageOptions())
    await insert(storage, sample_tree("t", 100))

    async def commit(k):
        faults.plan("COMMIT", after=after)
        with suppress(errors.StorageUnavailable):
            await storage.commit(Batch(changes={"t": change(claims=[(k, 1, NOON)])}))

    async def afterwards(k):
        await insert(storage, sample_tree(f"after-{k}"))
        assert faults.times == 0
        assert (await storage.task(f"t.{k}")).status == ("in_progress" if after else "pending")

    assert await storm(commit, afterwards, late=late) >= 1
    assert await storage.check() == []
    await storage.close()


async def test_a_listing(storage, late):
    await insert(storage, sample_tree("t", 100))

    async def afterwards(k):
        await insert(storage, sample_tree(f"after-{k}"))
        assert (await storage.find(TaskQuery())).total == 100 + 3 * k

    assert await storm(lambda _: storage.find(TaskQuery()), afterwards, late=late) >= 1


async def test_a_backup_leaves_a_whole_copy_or_none(storage, tmp_path, late):
    await insert(storage, sample_tree("t", 1000))

    async def afterwards(k):
        await insert(storage, sample_tree(f"after-{k}"))
        assert not list(tmp_path.glob("*.part"))
        copy = tmp_path / f"copy-{k}.db"
        if copy.exists():
            copied = await open_sqlite(f"sqlite:///{copy}", StorageOptions())
            assert await copied.check() == []
            assert (await copied.find(TaskQuery())).total == 1000 + 3 * (k - 1)
            await copied.close()

    assert await storm(lambda k: storage.backup(str(tmp_path / f"copy-{k}.db")), afterwards, late=late) >= 3


async def test_opening_gives_the_file_back(tmp_path, late):
    def opening(k):
        return _opened_and_closed(tmp_path / f"{k}.db")

    async def afterwards(k):
        storage = await open_sqlite(f"sqlite:///{tmp_path}/{k}.db", StorageOptions())
        await insert(storage, sample_tree("t"))
        assert await storage.check() == []
        await storage.close()

    assert await storm(opening, afterwards, late=late) >= 3


async def _opened_and_closed(path):
    storage = await open_sqlite(f"sqlite:///{path}", StorageOptions())
    try:
        await storage.find(TaskQuery())
    finally:
        await storage.close()
        await storage.close()
