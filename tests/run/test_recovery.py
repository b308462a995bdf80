"""After a process that is gone: what it left goes on, nothing runs twice that completed, and a restart is no attempt."""

from __future__ import annotations

import asyncio

import pytest
from samples import group, noop, task

import apflow_sqlite
from apflow.host import Host
from apflow.testing import engine_of
from apflow_hookspecs import MAX_INSTANT, Batch, Change, Event, Storage, TaskContext, Wait, executor
from apflow_hookspecs.errors import InvalidTransition, NotFound, Overloaded, StorageBroken, StorageUnavailable


@pytest.fixture
def file(tmp_path):
    return {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}


async def cut_off(storage: Storage, tree_id: str, *numbers: int, groups: tuple[int, ...] = (), recoveries: int = 0) -> None:
    """Leave tasks in progress, as a process does that is killed."""
    tree = await storage.tree(tree_id)
    change = Change(tree.token, 1)
    change.moves += [(n, "pending", "pending", 1, 1, recoveries, None, None, None) for n in numbers]
    change.moves += [(n, "pending", "in_progress", 1, 0, 0, None, None, None) for n in groups]
    change.claims += [(n, 1, 1) for n in numbers]
    change.tree.update(status="in_progress", status_at=1, run=1, requested_at=1)
    assert await storage.commit(Batch(changes={tree_id: change}))


async def test_what_was_in_progress_goes_back_to_pending_when_the_storage_is_opened(file):
    async with engine_of(noop, **file) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "noop"), task("b", "noop", dependencies=["a"])]
        )
        await cut_off(engine.storage, "root", 1, groups=(0,))
    async with engine_of(noop, **file) as engine:
        stored = await engine.storage.tree("root")
        events = [event.type for event in await engine.storage.events("root")]
        history = await engine.storage.attempts("root")
        assert engine.manager.running() == []

        assert (engine.recovered.trees, engine.recovered.tasks) == (1, 1)
        assert (stored.tasks["a"].status, stored.tasks["a"].attempt, stored.tasks["a"].recoveries) == ("pending", 1, 1)
        assert [(attempt.attempt, attempt.outcome) for attempt in history] == [(1, "recovered")]
        assert events == ["tree_created", "task_recovered"]


async def test_resuming_goes_on_and_the_restart_is_no_attempt(file):
    seen = []

    @executor("see")
    async def see(context: TaskContext):
        seen.append((context.task.key, context.attempt))

    async with engine_of(see, **file) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "see"), task("b", "see", dependencies=["a"])]
        )
        await cut_off(engine.storage, "root", 1, groups=(0,))
    async with engine_of(see, **file) as engine:
        (tree,) = await engine.manager.resume()
        done = await engine.manager.wait(tree.id)

    assert seen == [("a", 1), ("b", 1)]
    assert [t.status for t in done] == ["completed"] * 3
    assert (done.tasks["a"].attempt, done.tasks["a"].recoveries) == (1, 1)
    assert done.run == 1


async def test_what_must_not_run_twice_fails_as_interrupted(file):
    @executor("charge", on_crash="fail")
    async def charge():
        return None

    async with engine_of(charge, noop, **file) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "charge"), task("b", "noop", dependencies=["a"])]
        )
        await cut_off(engine.storage, "root", 1, groups=(0,))
    async with engine_of(charge, noop, **file) as engine:
        stored = await engine.storage.tree("root")
        settled = [event.type for event in await engine.storage.events("root")]

    assert {key: t.status for key, t in stored.tasks.items()} == {"root": "failed", "a": "failed", "b": "skipped"}
    assert stored.tasks["a"].error["code"] == "interrupted"
    assert (stored.status, settled[-1]) == ("failed", "tree_settled")


async def test_what_is_cut_off_too_often_fails(file):
    async with engine_of(noop, **file) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "noop")])
        await cut_off(engine.storage, "root", 0, recoveries=5)
    async with engine_of(noop, **file) as engine:
        stored = await engine.storage.tree("root")

    assert stored.root.error["code"] == "recovery_limit"
    assert stored.status == "failed"


async def test_trees_that_were_never_asked_to_run_are_left_alone(file):
    async with engine_of(noop, **file) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "noop")])
    async with engine_of(noop, **file) as engine:
        assert engine.recovered.trees == 0
        assert await engine.manager.resume() == []
        with pytest.raises(InvalidTransition, match="nothing to go on with"):
            await engine.manager.resume("root")
        with pytest.raises(NotFound):
            await engine.manager.resume("nobody")


async def test_a_wait_goes_on_after_a_restart(file):
    @executor("nap")
    async def nap(context: TaskContext):
        return "rested" if context.task.started_at > context.task.created_at + 60_000_000 or naps else Wait.until(MAX_INSTANT)

    naps = []
    async with engine_of(nap, **file) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "nap")], execute=True)
        async for event in engine.watch(tree.id):
            if event.type == "task_waiting":
                break
        change = Change((await engine.storage.tree("root")).token, 1)
        wait = b'{"kind":"until","until":5,"prompt":null,"schema":null,"answer":null}'
        change.moves.append((0, "waiting", "waiting", 5, 1, 0, None, None, wait))
        assert await engine.storage.commit(Batch(changes={"root": change}))
    naps.append(True)
    async with engine_of(nap, **file) as engine:
        await engine.manager.resume("root")
        done = await engine.manager.wait("root")

    assert done.root.result == "rested"
    assert (done.root.attempt, done.root.recoveries) == (1, 0)


async def test_draining_starts_nothing_more_and_lets_what_runs_end(recorder):
    note, held = recorder.executors()
    async with engine_of(note, held) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "held"), task("b", "note", dependencies=["a"])], execute=True
        )
        await recorder.at_gate.wait()
        draining = asyncio.ensure_future(engine.manager.drain())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await engine.creator.create_task_tree_from_array([task("root", "note")], fresh_ids=True)
        recorder.gate.set()
        await draining
        storage = engine.storage
        await engine.manager.close()
        stored = await storage.tree(tree.id)

    assert recorder.ended == ["a"]
    assert (stored.tasks["a"].status, stored.tasks["b"].status) == ("completed", "pending")
    assert stored.status == "in_progress"


class Troubled:
    """The in-memory storage, whose commits fail while `trouble` is set."""

    def __init__(self, storage):
        self.storage = storage
        self.trouble = None
        self.refused = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self.storage, name)

    async def commit(self, batch):
        if self.trouble is not None:
            self.refused.set()
            raise self.trouble
        return await self.storage.commit(batch)


async def troubled_engine(monkeypatch, *executors):
    from apflow import engine as engines

    opened = engines.open_storage

    async def open_storage(host: Host, settings):
        return Troubled(await opened(host, settings))

    monkeypatch.setattr(engines, "open_storage", open_storage)
    monkeypatch.setattr("apflow.journal.PAUSE", 0.001)
    return engine_of(*executors)


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_has_run(monkeypatch, recorder):
    _, held = recorder.executors()
    async with await troubled_engine(monkeypatch, held, noop) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "held"), task("b", "noop", dependencies=["a"])], execute=True
        )
        await recorder.at_gate.wait()
        engine.storage.trouble = StorageUnavailable("the disk is full")
        recorder.gate.set()
        await engine.storage.refused.wait()
        with pytest.raises(StorageUnavailable, match="the disk is full"):
            await engine.creator.create_task_tree_from_array([task("root", "noop")], fresh_ids=True)
        assert engine.manager.running()[0].tasks["a"].status == "in_progress", "never completed in memory only"
        engine.storage.trouble = None
        done = await engine.manager.wait(tree.id)

    assert [t.status for t in done] == ["completed"] * 3
    assert recorder.ended == ["a"]


async def test_a_submission_that_meets_a_full_disk_is_refused_and_never_stored(monkeypatch):
    async with await troubled_engine(monkeypatch, noop) as engine:
        engine.storage.trouble = StorageUnavailable("the disk is full")
        with pytest.raises(StorageUnavailable, match="the disk is full"):
            await engine.creator.create_task_tree_from_array([task("root", "noop")], execute=True)
        engine.storage.trouble = None
        tree = await engine.creator.create_task_tree_from_array([task("root", "noop")])
        done = await engine.manager.distribute_task_tree(tree)

    assert done.status == "completed"


@pytest.mark.parametrize("error", [StorageBroken("it is damaged"), RuntimeError("a fault")])
async def test_what_cannot_be_mended_ends_the_engine_and_everybody_is_told(monkeypatch, recorder, error):
    _, held = recorder.executors()
    async with await troubled_engine(monkeypatch, held) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "held")], execute=True)
        await recorder.at_gate.wait()
        watching = asyncio.ensure_future(collect(engine.watch(tree.id)))
        waiting = asyncio.ensure_future(engine.manager.wait(tree.id))
        await asyncio.sleep(0)
        engine.storage.trouble = error
        recorder.gate.set()
        with pytest.raises(StorageUnavailable, match=str(error)):
            await asyncio.wait_for(waiting, 5)
        with pytest.raises(StorageUnavailable, match=str(error)):
            await asyncio.wait_for(watching, 5)
        with pytest.raises(StorageUnavailable, match=str(error)):
            await engine.creator.create_task_tree_from_array([task("root", "held")], fresh_ids=True)


async def collect(events) -> list[Event]:
    return [event async for event in events]
