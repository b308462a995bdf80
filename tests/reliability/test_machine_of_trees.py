"""Any sequence of what can be asked of trees, alone and side by side: everything shows what is stored, as promised."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from attrs import fields_dict
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from samples import group, task

from apflow.copying import Choice
from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow.testing.faults import Lifeline, lent
from apflow_hookspecs import Caller, Retry, Task, TaskFailed, Wait
from apflow_hookspecs.errors import ApflowError, CircularDependency, StorageUnavailable

AS_THEY_END = ("completes", "fails", "asks", "sleeps", "is tried again", "is held")
WORST_FIRST = ("failed", "cancelled", "skipped", "completed")
SETTLED = frozenset(WORST_FIRST)
LAWFUL = {
    "task_started": ({"pending"}, {"in_progress"}),
    "task_waiting": ({"in_progress"}, {"waiting"}),
    "task_answered": ({"waiting"}, {"pending"}),
    "task_resumed": ({"waiting", "in_progress"}, {"pending"}),
    "task_recovered": ({"in_progress"}, {"pending"}),
    "task_reset": (SETTLED, {"pending"}),
    "task_settled": ({"pending", "in_progress", "waiting"}, SETTLED),
}
"""From which statuses each event moves a task, and to which."""
WAYS = ("execute", "execute a part", "execute a part", "cancel", "answer", "resume", "update", "delete", "archive", "copy")
"""To ask for something; twice what is asked more often."""
MOST_TREES = 3


class Work:
    """An executor whose attempts end as is said of their task's key."""

    id = "work"

    def __init__(self):
        self.ways = {}
        self.gates = {}

    async def execute(self, inputs, context):
        way = self.ways.get(context.task.key, "completes")
        if context.wait is None and way == "asks":
            return Wait.for_input("Go on?", until=context.task.updated_at + 30_000_000)
        if context.wait is None and way == "sleeps":
            return Wait.until(context.task.updated_at + 5_000_000)
        if context.attempt == 1 and way == "is tried again":
            raise Retry(3)
        if way == "fails" or (way == "is held" and not await self.held(context.task.id)):
            raise TaskFailed("as it was told")
        return context.task.key

    async def held(self, task_id):
        gate = self.gates[task_id] = asyncio.get_running_loop().create_future()
        try:
            return await gate
        finally:
            del self.gates[task_id]


@st.composite
def arrays(draw):
    """A tree of working tasks, some with others under them, and groups, in which each may wait for what stands before it."""
    tasks, above = [group("root")], {"root": frozenset({"root"})}
    for n in range(draw(st.integers(1, 7))):
        key, parent = f"k{n}", draw(st.sampled_from(sorted(above)))
        if draw(st.integers(0, 3)) == 0:
            tasks.append(group(f"g{n}", parent_id=parent))
            above[f"g{n}"], parent = above[parent] | {f"g{n}"}, f"g{n}"
        before = sorted(above.keys() - above[parent])
        wanted = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        tasks.append(task(key, "work", parent, dependencies=[{"id": each, "required": draw(st.booleans())} for each in wanted]))
        above[key] = above[parent] | {key}
    return tasks


class TreesMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = self.loop()
        self.storage = self.place()
        self.work = Work()
        self.engine = None
        self.trees = []
        self.unresumed = set()

    def loop(self):
        return asyncio.Runner(loop_factory=VirtualClock().loop)

    def place(self):
        return MemoryStorage()

    async def some_seconds(self):
        await asyncio.sleep(10)

    async def to_rest(self):
        await asyncio.sleep(1)  # of virtual time, which passes when everybody is at rest

    def run(self, *steps):
        async def done():
            async with asyncio.timeout(1000):
                results = await asyncio.gather(*steps, return_exceptions=True)
            await self.to_rest()
            return results

        results = self.runner.run(done())
        for result in results:
            if isinstance(result, BaseException) and (
                not isinstance(result, ApflowError) or isinstance(result, StorageUnavailable)
            ):
                raise result
        return results

    # The process

    @initialize()
    def open(self):
        self.run(self.opened())

    async def opened(self):
        self.lifeline, self.leaving = Lifeline(self.storage), asyncio.Event()
        opened = asyncio.get_running_loop().create_future()

        async def host():
            async with engine_of(self.work, max_concurrency=1000, **lent(self.lifeline)) as engine:
                opened.set_result(engine)
                await self.leaving.wait()

        self.host = asyncio.ensure_future(host())
        self.engine = await opened
        self.unresumed = set(await self.storage.open_trees())

    async def closed(self):
        self.leaving.set()
        await self.host

    @precondition(lambda self: self.trees and not self.unresumed)
    @rule(crash=st.booleans())
    def restart(self, crash):
        if crash:
            self.lifeline.cut()
        self.run(self.closed())
        self.run(self.opened())

    @precondition(lambda self: self.unresumed)
    @rule()
    def resume(self):
        self.run(self.engine.manager.resume())
        self.unresumed = set()

    # What is asked of it

    @precondition(lambda self: len(self.trees) < MOST_TREES)
    @rule(array=arrays(), execute=st.booleans())
    def create(self, array, execute):
        (tree,) = self.run(self.engine.creator.create_task_tree_from_array(array, fresh_ids=True, execute=execute))
        if not isinstance(tree, CircularDependency):
            self.trees.append(tree.id)

    @rule(data=st.data(), way=st.sampled_from(AS_THEY_END))
    def work_ends(self, data, way):
        self.work.ways[data.draw(st.sampled_from([f"k{n}" for n in range(7)]))] = way

    @rule(data=st.data(), completes=st.booleans())
    def time_passes(self, data, completes):
        if self.work.gates:
            self.work.gates[data.draw(st.sampled_from(sorted(self.work.gates)))].set_result(completes)
        self.run(self.some_seconds())

    @precondition(lambda self: self.trees)
    @rule(data=st.data(), ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=3))
    def ask(self, data, ways):
        asked = [self.asked(data, way) for way in ways]
        self.run(*[ask() for ask in asked])

    @precondition(lambda self: self.trees)
    @rule(data=st.data(), way=st.sampled_from(WAYS))
    def ask_one(self, data, way):
        asked = self.asked(data, way)
        self.run(asked())

    def asked(self, data, way):  # noqa: PLR0911 - one for each way
        tree = self.stored(data.draw(st.sampled_from(self.trees)))
        chosen = data.draw(st.sampled_from(list(tree)))
        manager, editor = self.engine.manager, self.engine.editor
        match way:
            case "execute":
                return partial(manager.execute, tree.id, rerun=data.draw(st.booleans()))
            case "execute a part":
                return partial(manager.execute, chosen.id)
            case "cancel":
                return partial(manager.cancel, chosen.id)
            case "answer":
                return partial(manager.answer, self.waiting(tree, chosen).id, answer="yes")
            case "resume":
                return partial(manager.resume, tree.id)
            case "update":
                return partial(editor.update, chosen.id, self.fields(data, tree), **self.dependents(data))
            case "delete":
                return partial(editor.delete, chosen.id, **self.dependents(data))
            case "archive":
                return partial(editor.archive, tree.id, undo=data.draw(st.booleans()))
        return partial(self.copied, chosen.id, Choice(children=data.draw(st.booleans())), data.draw(st.booleans()))

    def waiting(self, tree, chosen):
        return next((each for each in tree if each.status == "waiting"), chosen)

    def fields(self, data, tree):
        wanted = data.draw(st.lists(st.sampled_from(list(tree)), max_size=2, unique_by=lambda each: each.id))
        dependencies = [{"id": each.id, "required": data.draw(st.booleans())} for each in wanted]
        return data.draw(st.sampled_from([{"dependencies": dependencies}, {"priority": 0}, {"name": "other"}]))

    def dependents(self, data):
        return data.draw(st.sampled_from([{}, {"include_dependents": True}, {"allow_partial": True}]))

    async def copied(self, task_id, choice, execute):
        if len(self.trees) < MOST_TREES:
            report = await self.engine.creator.copy(task_id, choice, execute=execute)
            self.trees.append(report.tree.id)

    def stored(self, tree_id):
        tree = self.runner.run(self.storage.tree(tree_id))
        if tree is None:
            self.trees.remove(tree_id)
            (tree,) = self.run(
                self.engine.creator.create_task_tree_from_array([group("root"), task("k0", "work")], fresh_ids=True)
            )
            self.trees.append(tree.id)
        return tree

    # What is promised

    @invariant()
    def everything_shows_what_is_stored(self):
        if self.engine is not None:
            assert self.engine._keeper.journal.failure is None
            live = {tree.id: tree for tree in self.engine.manager.running()}
            for tree_id in self.trees:
                tree = self.runner.run(self.storage.tree(tree_id))
                if tree is None:
                    assert tree_id not in live
                    continue
                if tree_id in live:
                    assert shown(live[tree_id]) == shown(tree)
                self.told(tree)
                self.stands(tree, runs=tree_id in live)
                self.explained(tree)

    def told(self, tree):
        events = self.runner.run(self.storage.events(tree.id, 0, 100_000))
        assert [event.seq for event in events] == list(range(1, tree.last_event + 1))
        assert [event.run for event in events] == sorted(event.run for event in events)
        ends = [event.run for event in events if event.type == "tree_settled" and event.run]
        assert ends == list(range(1, tree.run + (not tree.open)))
        stands = {}
        for event in events:
            if event.type in LAWFUL:
                before, after = LAWFUL[event.type]
                was = stands.get(event.task_id)
                assert was is None or was in before, (event, was)
                assert event.status in after
                stands[event.task_id] = event.status
        assert {t.id: t.status.value for t in tree if t.id in stands} == {id: s for id, s in stands.items() if id in tree}

    def stands(self, tree, *, runs):
        working = [t for t in tree if t.executor is not None]
        statuses = {t.status.value for t in working}
        for each in tree:
            if each.executor is None:
                under = {t.status.value for t in below(tree, each) if t.executor is not None}
                if under <= SETTLED:
                    assert each.status == next(s for s in WORST_FIRST if s in under), (each, under)
                else:
                    assert each.status in ("pending", "in_progress")
        if not tree.open:
            assert statuses.isdisjoint({"in_progress", "waiting"})
            if tree.run:
                worst = next((s for s in ("failed", "cancelled", "pending") if s in statuses), "completed")
                assert tree.status == worst
            return
        of_run = [t for t in working if t.run == tree.run]
        assert any(not t.status.settled for t in of_run)
        assert runs or tree.id in self.unresumed
        if runs:
            self.unresumed.discard(tree.id)
            assert statuses & {"in_progress", "waiting"}, "it is stuck"
            assert {t.id for t in working if t.status == "in_progress"} == self.work.gates.keys() & {t.id for t in tree}
            assert tree.status == ("in_progress" if "in_progress" in statuses else "waiting")
        else:
            assert "in_progress" not in statuses

    def explained(self, tree):
        async def each(task_id):
            for name in ("tasks.history", "tasks.explain"):
                await self.engine.call(name, {"task_id": task_id}, Caller.local())

        for task_id in [t.id for t in tree]:
            self.runner.run(each(task_id))

    def teardown(self):
        if self.engine is not None:
            self.run(self.closed())
        self.runner.close()


def shown(tree):
    record = {name: getattr(tree, name) for name in ("status", "status_at", "run", "requested_at", "archived_at", "last_event")}
    return record, [{name: getattr(each, name) for name in fields_dict(Task)} for each in tree]


def below(tree, top):
    found = [top]
    for each in found:
        found.extend(tree.children(each))
    return found[1:]


TestTrees = TreesMachine.TestCase
TestTrees.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTrees.pytestmark = [pytest.mark.timeout(600)]  # how long sequences are depends on what is drawn
