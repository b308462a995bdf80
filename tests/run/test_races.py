"""What happens while something else is on its way into the storage, or is being read from there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from samples import group, noop, task

from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow.testing.faults import Lent, Lifeline, lent
from apflow_hookspecs import Lost, Retry, TaskContext, Wait, executor, hookimpl
from apflow_hookspecs.errors import ApflowError, NotFound


class Gated:
    """A storage that holds one call, before it is made, until it is let through."""

    def __init__(self):
        self.storage = MemoryStorage()
        self._name = None

    def hold(self, name):
        """Hold the next call of this name."""
        self._name, self.reached, self.released = name, asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        method = getattr(self.storage, name)
        if name != self._name:
            return method

        async def held(*args, **options):
            self._name = None
            self.reached.set()
            await self.released.wait()
            return await method(*args, **options)

        return held


@pytest.fixture
def gated():
    return Gated()


async def turns():
    """Let everything go on that can."""
    for _ in range(50):
        await asyncio.sleep(0)


class Labour:
    """An executor that ends as it is told, when it is told."""

    def __init__(self):
        self.starts = 0
        self.began, self.end = asyncio.Event(), asyncio.Event()
        self.outcome = None

        @executor("labour")
        async def labour():
            self.starts += 1
            self.began.set()
            await self.end.wait()
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        self.executor = labour


@pytest.fixture
def labour():
    return Labour()


ENDS_THAT_GO_ON = [Retry(0), Lost("gone"), Wait.for_input("Go on?"), Wait.until(0)]


@asynccontextmanager
async def cancellation_on_its_way(gated, labour):
    """An engine that runs a task, whose cancellation was asked for and waits to be stored."""
    async with engine_of(labour.executor, **lent(gated)) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "labour")], execute=True)
        await labour.began.wait()
        gated.hold("commit")
        cancelling = asyncio.ensure_future(engine.manager.cancel("root"))
        await gated.reached.wait()
        yield engine
        await cancelling


async def ended(engine, gated, labour):
    """The task, which ends before its cancellation is stored."""
    labour.end.set()
    await turns()
    gated.released.set()
    return (await asyncio.wait_for(engine.manager.wait("root"), 30)).root


@pytest.mark.parametrize("outcome", ENDS_THAT_GO_ON, ids=lambda outcome: type(outcome).__name__)
async def test_what_would_go_on_ends_where_its_cancellation_is_being_stored(gated, labour, outcome):
    labour.outcome = outcome
    async with cancellation_on_its_way(gated, labour) as engine:
        root = await ended(engine, gated, labour)

    assert (root.status, root.error["code"], labour.starts) == ("cancelled", "cancelled", 1)


async def test_what_completes_while_its_cancellation_is_being_stored_has_completed(gated, labour):
    async with cancellation_on_its_way(gated, labour) as engine:
        assert (await ended(engine, gated, labour)).status == "completed"


async def test_an_engine_that_closes_while_a_cancellation_is_being_stored_leaves_nothing_to_run(gated, labour):
    async with cancellation_on_its_way(gated, labour) as engine:
        closing = asyncio.ensure_future(engine.manager.close())
        await turns()
        gated.released.set()
        await closing

    assert (await gated.storage.task("root")).status == "cancelled"
    assert await gated.storage.open_trees() == []


@asynccontextmanager
async def claim_on_its_way(gated, labour):
    """An engine that has claimed a task, which waits to be stored."""
    async with engine_of(labour.executor, **lent(gated)) as engine:
        gated.hold("commit")
        creating = asyncio.ensure_future(engine.creator.create_task_tree_from_array([task("root", "labour")], execute=True))
        await gated.reached.wait()
        yield engine
        await creating


async def test_what_was_claimed_when_the_engine_closes_is_not_started(gated, labour):
    async with claim_on_its_way(gated, labour) as engine:
        closing = asyncio.ensure_future(engine.manager.close())
        await turns()
        gated.released.set()
        await closing

    assert labour.starts == 0
    assert (await gated.storage.task("root")).status == "pending"
    assert await gated.storage.open_trees() == ["root"]


async def test_a_drain_waits_for_what_is_being_claimed(gated, labour):
    async with claim_on_its_way(gated, labour) as engine:
        draining = asyncio.ensure_future(engine.manager.drain())
        await turns()
        gated.released.set()
        await labour.began.wait()
        await turns()
        assert not draining.done()
        labour.end.set()
        await draining
        assert (await gated.storage.task("root")).status == "completed"


async def test_who_is_cancelled_while_the_engine_closes_does_not_keep_it_from_writing(gated, labour):
    async with engine_of(labour.executor, **lent(gated)) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "labour")], execute=True)
        await labour.began.wait()
        gated.hold("commit")
        closing = asyncio.ensure_future(engine.manager.close())
        await gated.reached.wait()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        gated.released.set()
        await turns()
        assert (await gated.storage.task("root")).status == "pending"


TREE = [group("root"), task("a", "noop"), task("b", "noop")]


@pytest.mark.parametrize("read", ["tree", "acquire"])
async def test_a_tree_that_is_cancelled_and_asked_to_run_at_once_has_one_course(gated, read):
    async with engine_of(noop, max_concurrency=2, **lent(gated)) as engine:
        await engine.creator.create_task_tree_from_array(TREE)
        gated.hold(read)
        cancelling = asyncio.ensure_future(engine.manager.cancel("b"))
        await gated.reached.wait()
        executing = asyncio.ensure_future(engine.manager.execute("root"))
        await turns()
        gated.released.set()
        await asyncio.gather(cancelling, executing, return_exceptions=True)
        await turns()
        assert engine.manager.running() == []
        stored = await gated.storage.tree("root")
        assert stored.tasks["b"].status == "cancelled"
        assert stored.tasks["a"].status in ("completed", "pending")
        assert engine._keeper.schedule.free == 2


@pytest.mark.parametrize("read", ["tree", "acquire"])
async def test_a_tree_that_is_deleted_and_asked_to_run_at_once_is_one_or_the_other(gated, read):
    async with engine_of(noop, **lent(gated)) as engine:
        await engine.creator.create_task_tree_from_array(TREE)
        gated.hold(read)
        deleting = asyncio.ensure_future(engine.editor.delete("root"))
        await gated.reached.wait()
        executing = asyncio.ensure_future(engine.manager.execute("root"))
        await turns()
        gated.released.set()
        deleted, executed = await asyncio.gather(deleting, executing, return_exceptions=True)
        await turns()
        there = await gated.storage.tree("root")
        assert (isinstance(deleted, list) and len(deleted) == 3) is isinstance(executed, ApflowError) is (there is None)


def test_a_tree_says_that_it_runs_though_its_waiting_was_just_being_stored(gated):
    clock = VirtualClock()

    async def scenario():
        began, may_nap, woken = set(), asyncio.Event(), asyncio.Event()

        @executor("nap")
        async def nap(context: TaskContext, seconds: int):
            if context.task.key in began:
                woken.set()
                await asyncio.Event().wait()
            began.add(context.task.key)
            if context.task.key == "b":
                await may_nap.wait()
            return Wait.until(clock.now() + seconds * 1_000_000)

        async with engine_of(nap, **lent(gated)) as engine:
            tree = [group("root"), task("a", "nap", seconds=10), task("b", "nap", seconds=1000)]
            await engine.creator.create_task_tree_from_array(tree, execute=True)
            async for event in engine.watch("root"):
                if event.type == "task_waiting":
                    break
            gated.hold("commit")
            may_nap.set()
            await gated.reached.wait()
            await asyncio.sleep(20)  # the clock of `a` rings while the waiting of `b` is on its way
            gated.released.set()
            await woken.wait()
            status = (await gated.storage.tree("root")).status
            await engine.manager.cancel("root")
            await engine.manager.wait("root")
            return status

    assert clock.run(scenario()) == "in_progress"


async def test_a_tree_that_is_lost_gives_back_as_many_slots_as_it_had(labour):
    class Taken(Gated):
        async def commit(self, batch):
            if "root" in batch.changes and not batch.trees:
                await self.storage.acquire("root", "another", "2@there")
                committed = await self.storage.commit(batch)
                labour.end.set()  # the other task ends while its tree gets lost
                return committed
            return await self.storage.commit(batch)

    seen = asyncio.Event()

    @executor("brief")
    async def brief():
        await seen.wait()

    async with engine_of(labour.executor, brief, max_concurrency=2, **lent(Taken())) as engine:
        tree = [group("root"), task("a", "labour"), task("b", "brief")]
        await engine.creator.create_task_tree_from_array(tree, execute=True)
        watching = asyncio.ensure_future(_watched(engine.watch("root"), seen))
        await seen.wait()
        with pytest.raises(ApflowError, match="another owner"):
            await engine.manager.wait("root")
        with pytest.raises(ApflowError, match="another owner"):
            await asyncio.wait_for(watching, 30)
        await turns()
        assert engine._keeper.schedule.free == 2


async def _watched(events, seen):
    async for _ in events:
        seen.set()


async def test_the_history_tells_what_a_hook_made_of_the_inputs_of_an_attempt_that_a_crash_ended(labour):
    class Before:
        @hookimpl
        def apflow_before_execute(self):
            return {"region": "eu"}

    @executor("where")
    async def where(region: str = ""):
        await labour.executor()
        return region

    storage = MemoryStorage()
    lifeline = Lifeline(storage)
    plugins = {"before": Before()}
    async with engine_of(where, url="lent:", plugins={**plugins, **lent(lifeline)["plugins"]}) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "where")], execute=True)
        await labour.began.wait()
        await engine.manager._keeper.journal.stored("root")
        lifeline.cut()
    labour.end.set()
    async with engine_of(where, url="lent:", plugins=lent(storage)["plugins"]) as engine:
        await engine.manager.resume("root")
        await engine.manager.wait("root")

    attempts = await storage.attempts("root")
    assert [(attempt.outcome, attempt.inputs) for attempt in attempts] == [("recovered", {"region": "eu"})]


class Observer:
    """A plugin that is told of every event."""

    def __init__(self):
        self.seen = []

    @hookimpl
    async def apflow_event(self, event):
        self.seen.append(event)


async def test_what_is_cancelled_while_its_end_is_being_stored_has_ended_and_the_engine_goes_on(gated, labour):
    async with engine_of(labour.executor, plugins={"observer": Observer(), "gated": Lent(gated)}, url="lent:") as engine:
        await engine.creator.create_task_tree_from_array([task("root", "labour")], execute=True)
        await labour.began.wait()
        gated.hold("commit")
        labour.end.set()
        await gated.reached.wait()
        cancelling = asyncio.ensure_future(engine.manager.cancel("root"))
        await turns()
        gated.released.set()
        assert [covered.status for covered in await asyncio.wait_for(cancelling, 30)] == ["completed"]
        await engine.creator.create_task_tree_from_array([task("root", "labour")], fresh_ids=True)
        events = await engine.storage.events("root")

    assert events[-1].type == "tree_settled"


@asynccontextmanager
async def change_on_its_way(gated, engine, change):
    """Something that is asked of a stored tree waits to be stored."""
    gated.hold("commit")
    changing = asyncio.ensure_future(change)
    await gated.reached.wait()
    yield engine
    await asyncio.wait_for(changing, 30)


async def test_parts_of_a_tree_that_nobody_runs_are_cancelled_side_by_side(gated):
    observer = Observer()
    async with engine_of(noop, plugins={"observer": observer, "gated": Lent(gated)}, url="lent:") as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "noop"), task("b", "noop"), task("c", "noop")]
        )
        async with change_on_its_way(gated, engine, engine.manager.cancel("a")):
            other = asyncio.ensure_future(engine.manager.cancel("b"))
            await turns()
            gated.released.set()
            assert [covered.status for covered in await asyncio.wait_for(other, 30)] == ["cancelled"]
        stored = await engine.storage.tree("root")

    assert {t.key: t.status.value for t in stored} == {"root": "pending", "a": "cancelled", "b": "cancelled", "c": "pending"}
    assert [event.seq for event in observer.seen] == [1, 2, 3, 4, 5]


async def test_what_is_cancelled_while_its_execution_is_being_stored_settles(gated, labour):
    async with engine_of(labour.executor, noop, max_concurrency=1, **lent(gated)) as engine:
        await engine.creator.create_task_tree_from_array([{"id": "other", "executor": "labour"}], execute=True)
        await labour.began.wait()
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "noop"), task("b", "noop")])
        async with change_on_its_way(gated, engine, engine.manager.execute("a")):
            cancelling = asyncio.ensure_future(engine.manager.cancel("a"))
            await turns()
            gated.released.set()
            await cancelling
        assert (await engine.manager.wait("root", 30)).status == "cancelled"
        labour.end.set()


async def test_a_tree_that_is_resumed_while_an_answer_is_being_stored_goes_on(gated, labour):
    labour.outcome = Wait.for_input("Go on?")
    labour.end.set()
    for engine_number in range(2):
        async with engine_of(labour.executor, **lent(gated)) as engine:
            if engine_number == 0:
                await engine.creator.create_task_tree_from_array([task("root", "labour")], execute=True)
                async for event in engine.watch("root"):
                    if event.type == "task_waiting":
                        break
                continue
            labour.outcome = None
            async with change_on_its_way(gated, engine, engine.manager.answer("root", "yes")):
                resuming = asyncio.ensure_future(engine.manager.resume("root"))
                await turns()
                gated.released.set()
                assert [tree.id for tree in await resuming] == ["root"]
            assert (await engine.manager.wait("root", 30)).status == "completed"


class Thinking:
    """A validator that takes as long as it is told to."""

    def __init__(self):
        self.asked, self.done = asyncio.Event(), asyncio.Event()
        self.done.set()

    @hookimpl
    async def apflow_validate_task(self):
        self.asked.set()
        await self.done.wait()
        return []


async def test_what_is_changed_while_the_run_of_its_tree_ends_is_changed(labour):
    thinking, observer = Thinking(), Observer()
    async with engine_of(labour.executor, plugins={"thinking": thinking, "observer": observer}) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "labour"), task("b", "labour")])
        await engine.manager.execute("a")
        await labour.began.wait()
        thinking.asked.clear()
        thinking.done.clear()
        changing = asyncio.ensure_future(engine.editor.update("b", {"priority": 0}))
        await thinking.asked.wait()
        labour.end.set()
        await engine.manager.wait("root", 30)
        thinking.done.set()
        assert [changed.priority for changed in await asyncio.wait_for(changing, 30)] == [0]
        await engine.creator.create_task_tree_from_array([task("root", "labour")], fresh_ids=True)


async def test_a_tree_that_is_being_archived_is_not_purged(gated):
    async with engine_of(noop, **lent(gated)) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "noop")])
        done = await engine.manager.distribute_task_tree(tree)
        async with change_on_its_way(gated, engine, engine.editor.archive("root")):
            purging = asyncio.ensure_future(engine.editor.purge(done.root.updated_at + 1_000_000_000))
            await turns()
            gated.released.set()
            assert await asyncio.wait_for(purging, 30) == 0
        assert await engine.storage.tree("root") is not None


@pytest.mark.parametrize("asking", ["execute", "cancel", "answer", "update"])
async def test_a_task_that_is_taken_out_while_somebody_asks_for_it_is_not_found(gated, asking):
    async with engine_of(noop, **lent(gated)) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("stays", "noop"), task("goes", "noop")])
        goes = tree.tasks["goes"].id
        gated.hold("tree")
        deleting = asyncio.create_task(engine.editor.delete(goes))
        await gated.reached.wait()
        ask = {
            "execute": lambda: engine.manager.execute(goes),
            "cancel": lambda: engine.manager.cancel(goes),
            "answer": lambda: engine.manager.answer(goes, 1),
            "update": lambda: engine.editor.update(goes, {"priority": 1}),
        }[asking]
        asked = asyncio.create_task(ask())
        await turns()  # it knows the tree by now, and waits for it
        gated.released.set()
        assert len(await deleting) == 1
        with pytest.raises(NotFound, match=f"there is no task {goes!r}"):
            await asked
