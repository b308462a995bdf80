"""Cancelling: what runs is stopped, what waits ends at once, and nothing covered starts after that."""

from __future__ import annotations

import asyncio

import pytest
from samples import add, group, noop, task

from apflow.testing import engine_of
from apflow_hookspecs import TaskContext, Wait, executor
from apflow_hookspecs.errors import CannotDelete, NotFound


async def test_cancelling_a_tree_stops_what_runs_and_ends_what_has_not_started(recorder):
    _, held = recorder.executors()
    async with engine_of(held, max_concurrency=2) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), *(task(f"t{i}", "held") for i in range(5))], execute=True
        )
        await recorder.at_gate.wait()
        covered = await engine.manager.cancel("root", actor="ada")
        done = await engine.manager.wait(tree.id)
        events = await engine.storage.events("root")

    assert len(covered) == 6
    assert {t.status for t in done} == {"cancelled"}
    assert done.status == "cancelled"
    assert sorted(recorder.started) == ["t0", "t1"]
    assert recorder.ended == []
    assert [event.actor for event in events if event.type == "cancel_requested"] == ["ada"]
    assert [event.type for event in events].count("tree_settled") == 1


async def test_cancelling_a_task_covers_what_is_under_it_and_skips_what_requires_it(recorder):
    note, held = recorder.executors()
    async with engine_of(note, held) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [
                group("root"),
                task("a", "held"),
                task("under", "note", "a", dependencies=["a"]),
                task("needs", "note", dependencies=["a"]),
                task("wants", "note", dependencies=[{"id": "a", "required": False}]),
                task("other", "note"),
            ],
            execute=True,
        )
        await recorder.at_gate.wait()
        await engine.manager.cancel("a")
        done = await engine.manager.wait(tree.id)

    assert {key: done.tasks[key].status for key in done.tasks if key != "root"} == {
        "a": "cancelled",
        "under": "cancelled",
        "needs": "skipped",
        "wants": "completed",
        "other": "completed",
    }
    assert done.status == "cancelled"


async def test_the_executor_is_asked_to_stop_before_it_is_cancelled():
    order = []

    class Polite:
        id = "polite"

        def __init__(self):
            self.running = asyncio.Event()

        async def execute(self, inputs):
            self.running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                order.append("cancelled")
                raise

        async def cancel(self, context):
            order.append(f"asked {context.task.key}")

    polite = Polite()
    async with engine_of(polite) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "polite")], execute=True)
        await polite.running.wait()
        await engine.manager.cancel("root")
        await engine.manager.wait(tree.id)

    assert order == ["asked root", "cancelled"]


async def test_a_deaf_executor_is_abandoned_after_its_grace():
    let_go = asyncio.Event()
    running = asyncio.Event()

    @executor("deaf")
    async def deaf():
        running.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    async with engine_of(deaf, cancel_grace=0.02) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "deaf")], execute=True)
        await running.wait()
        await engine.manager.cancel("root")
        done = await engine.manager.wait(tree.id)
        let_go.set()

    assert done.root.status == "cancelled"
    assert done.root.error["code"] == "abandoned"


async def test_what_waits_is_cancelled_at_once():
    @executor("ask")
    async def ask():
        return Wait.for_input("Go on?")

    async with engine_of(ask) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "ask")], execute=True)
        async for event in engine.watch(tree.id):
            if event.type == "task_waiting":
                break
        (covered,) = await engine.manager.cancel("root")
        assert covered.status == "cancelled"
        assert covered.wait is None
        assert (await engine.manager.wait("root")).status == "cancelled"


async def test_a_tree_that_never_ran_is_cancelled_and_runs_once_it_is_asked_to():
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "noop"), task("b", "noop")])
        covered = await engine.manager.cancel("root")
        stored = await engine.storage.tree("root")
        assert engine.manager.running() == []
        done = await engine.manager.distribute_task_tree(tree)

    assert done.status == "completed"
    assert [t.status for t in covered] == ["cancelled"] * 3
    assert stored.status == "cancelled"


async def test_settled_tasks_are_left_as_they_are():
    async with engine_of(add) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "add", a=1)])
        await engine.manager.distribute_task_tree(tree)
        before = await engine.storage.events("root")
        covered = await engine.manager.cancel("root")

        assert [t.status for t in covered] == ["completed", "completed"]
        assert await engine.storage.events("root") == before


async def test_cancelling_twice_does_no_more_than_once(recorder):
    _, held = recorder.executors()
    async with engine_of(held) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "held")], execute=True)
        await recorder.at_gate.wait()
        await asyncio.gather(engine.manager.cancel("root"), engine.manager.cancel("root"))
        done = await engine.manager.wait(tree.id)
        events = [event.type for event in await engine.storage.events("root")]

    assert done.status == "cancelled"
    assert events.count("task_settled") == 1


async def test_what_is_not_there_cannot_be_cancelled():
    async with engine_of() as engine:
        with pytest.raises(NotFound, match="'nobody'"):
            await engine.manager.cancel("nobody")


@pytest.mark.parametrize("after", range(1, 13))
async def test_exactly_one_of_completion_and_cancellation_wins(after):
    """The cancellation comes after a number of turns of the event loop, before, during and after the task's end."""
    async with engine_of(noop) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "noop"), task("b", "noop", dependencies=["a"])]
        )
        running = asyncio.ensure_future(engine.manager.distribute_task_tree(tree))
        for _ in range(after):
            await asyncio.sleep(0)
        await engine.manager.cancel("root")
        done = await running
        stored = await engine.storage.tree("root")
        events = await engine.storage.events("root")

    assert [t.status for t in done] == [t.status for t in stored]
    assert all(t.status.settled for t in stored)
    settled = [event.task_id for event in events if event.type == "task_settled"]
    assert sorted(settled) == ["a", "b", "root"]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_an_engine_that_closes_leaves_what_ran_to_the_next(tmp_path, recorder):
    import apflow_sqlite

    cleaned = []

    @executor("long")
    async def long(context: TaskContext):
        recorder.at_gate.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(context.task.key)

    url, plugins = f"sqlite:///{tmp_path / 'flow.db'}", {"sqlite": apflow_sqlite}
    async with engine_of(long, url=url, plugins=plugins) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "long"), task("b", "long", dependencies=["a"])], execute=True
        )
        await recorder.at_gate.wait()
    async with engine_of(long, url=url, plugins=plugins) as engine:
        stored = await engine.storage.tree("root")
        assert await engine.storage.open_trees() == ["root"]

    assert cleaned == ["a"]
    assert {key: stored.tasks[key].status for key in ("a", "b")} == {"a": "pending", "b": "pending"}
    assert (stored.tasks["a"].attempt, stored.tasks["a"].recoveries) == (1, 0)
    assert stored.status == "in_progress"


async def test_a_tree_is_deleted_whole_and_not_while_it_runs(recorder):
    _, held = recorder.executors()
    async with engine_of(held) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "held")], execute=True)
        await recorder.at_gate.wait()
        with pytest.raises(CannotDelete, match="cancel it first"):
            await engine.editor.delete("root")
        recorder.gate.set()
        await engine.manager.wait(tree.id)
        with pytest.raises(CannotDelete, match="task 'a' is completed; out of a tree only pending tasks can be deleted"):
            await engine.editor.delete("a")
        assert len(await engine.editor.delete("root")) == 2
        with pytest.raises(NotFound):
            await engine.tree("root")
        assert await engine.storage.events("root") == []
