"""Any sequence of submissions, ends, cancellations, crashes and restarts, compared with a model step by step."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from reliability.model import ModelTask, ModelTree

from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.checker import violations
from apflow.testing.clock import VirtualClock
from apflow.testing.evidence import gather
from apflow.testing.faults import Lifeline, lent
from apflow.testing.journaling import Entry, instant
from apflow_hookspecs import TaskFailed

MAX_RECOVERIES = 2


class Held:
    """An executor whose every attempt ends when and as it is told."""

    id = "held"

    def __init__(self):
        self.gates = {}
        self.entries = []
        self.made = 0

    async def execute(self, inputs, context):
        gate = self.gates[context.task.id] = asyncio.get_running_loop().create_future()
        self.write("start", context, saw=dict(context.results))
        try:
            if not await gate:
                raise TaskFailed("as it was told")
        finally:
            del self.gates[context.task.id]
        self.made += 1
        self.write("end", context, result=self.made)
        return self.made

    def write(self, mark, context, **more):
        task = context.task
        names = {"task_id": task.id, "key": task.key, "run": task.run, "attempt": context.attempt}
        self.entries.append(Entry(at=instant(), mark=mark, pid=1, **names, **more))


class EngineMachine(RuleBasedStateMachine):
    trees = Bundle("trees")

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualClock().loop)
        self.storage = MemoryStorage()
        self.held = Held()
        self.models = {}
        self.engine = None

    # The process

    @initialize()
    def open(self):
        self.run(self.opened())

    @precondition(lambda self: self.engine is None)
    @rule()
    def restart(self):
        self.run(self.opened())
        assert not self.held.gates, "nothing runs before it is resumed"
        for model in self.models.values():
            model.crash(MAX_RECOVERIES)

    @precondition(lambda self: self.engine is not None)
    @rule()
    def resume(self):
        self.run(self.engine.manager.resume())
        for model in self.models.values():
            if model.requested:
                model.go()

    @precondition(lambda self: self.engine is not None)
    @rule()
    def crash(self):
        self.lifeline.cut()
        self.run(self.left())

    @precondition(lambda self: self.engine is not None)
    @rule()
    def close(self):
        self.run(self.left())
        for model in self.models.values():
            model.close()

    async def opened(self):
        self.lifeline = Lifeline(self.storage)
        self.leaving = asyncio.Event()
        opened = asyncio.get_running_loop().create_future()

        async def host():
            async with engine_of(
                self.held, max_recoveries=MAX_RECOVERIES, max_concurrency=1000, **lent(self.lifeline)
            ) as engine:
                opened.set_result(engine)
                await self.leaving.wait()

        self.host = asyncio.ensure_future(host())
        self.engine = await opened

    async def left(self):
        self.leaving.set()
        await self.host
        self.engine = None

    def run(self, step):
        """One step, and whatever comes of it."""

        async def to_rest():
            try:
                return await step
            finally:
                await asyncio.sleep(1)  # of virtual time, which passes when everybody is at rest

        return self.runner.run(to_rest())

    # What is asked of it

    @precondition(lambda self: self.engine is not None)
    @rule(target=trees, data=st.data(), size=st.integers(1, 6), execute=st.booleans())
    def submit(self, data, size, execute):
        tree_id = f"t{len(self.models)}"
        tasks = {}
        for n in range(size):
            needs = data.draw(st.dictionaries(st.sampled_from(list(tasks)), st.booleans(), max_size=3)) if tasks else {}
            tasks[f"{tree_id}.{n}"] = ModelTask(needs, in_group=data.draw(st.booleans()), fragile=data.draw(st.booleans()))
        model = self.models[tree_id] = ModelTree(tasks)
        self.run(self.engine.creator.create_task_tree_from_array(array(tree_id, model), execute=execute))
        if execute:
            model.go()
        return tree_id

    @precondition(lambda self: self.engine is not None)
    @rule(data=st.data())
    def request(self, data):
        waiting = [id for id, model in self.models.items() if not model.requested and model.is_open()]
        if waiting:
            tree_id = data.draw(st.sampled_from(waiting))
            self.run(self.engine.manager.execute(tree_id))
            self.models[tree_id].go()

    @precondition(lambda self: self.engine is not None and self.held.gates)
    @rule(data=st.data(), completes=st.booleans())
    def end(self, data, completes):
        task_id = data.draw(st.sampled_from(sorted(self.held.gates)))
        self.held.gates[task_id].set_result(completes)
        self.run(asyncio.sleep(0))
        self.model_of(task_id).settle(task_id, "completed" if completes else "failed")

    @precondition(lambda self: self.engine is not None)
    @rule(tree_id=trees, data=st.data())
    def cancel(self, tree_id, data):
        model = self.models[tree_id]
        covered = data.draw(st.sampled_from(list(model.statuses())))
        self.run(self.engine.manager.cancel(covered))
        model.cancel(covered)

    # What has to hold

    @invariant()
    def compare(self):
        for tree_id, model in self.models.items():
            tree = self.run(self.storage.tree(tree_id))
            stored = {task.id: str(task.status) for task in tree}
            assert stored == model.statuses(), (stored, model.statuses())
            assert {id: tree[id].recoveries for id in model.tasks} == {id: task.recoveries for id, task in model.tasks.items()}

    @precondition(lambda self: self.engine is not None)
    @invariant()
    def runs(self):
        assert sorted(self.held.gates) == sorted(id for model in self.models.values() for id in model.running())

    def teardown(self):
        if self.engine is None:
            self.restart()
        self.resume()
        while self.held.gates:
            for gate in self.held.gates.values():
                gate.set_result(True)
            self.run(asyncio.sleep(0))
        evidence = self.run(gather(self.storage, self.held.entries))
        self.run(self.left())
        self.runner.close()
        found = [str(violation) for violation in violations(evidence)]
        assert not found, found

    def model_of(self, task_id):
        return self.models[task_id.partition(".")[0]]


def array(tree_id, model):
    groups = [{"id": id, "parent_id": None if id == tree_id else tree_id} for id in model.groups()]
    tasks = [
        {
            "id": id,
            "parent_id": f"{tree_id}.group" if task.in_group else tree_id,
            "executor": "held",
            "on_crash": "fail" if task.fragile else "rerun",
            "dependencies": [{"id": other, "required": required} for other, required in task.needs.items()],
        }
        for id, task in model.tasks.items()
    ]
    return groups + tasks


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestEngine.pytestmark = [pytest.mark.timeout(600)]  # how long sequences are depends on what is drawn
