"""The executor contract as tests: what every executor does, whatever its work is.

    from apflow.testing.executors import ExecutorContract

    class TestGreet(ExecutorContract):
        plugin = apflow_greet
        executor_id = "greet"
        example = {"name": "Ada"}
        refused = {"name": {"name": 7}, "nmae": {"name": "Ada", "nmae": "Ada"}}

Needs `psutil`.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

import psutil
import pytest

from apflow.calls import Call
from apflow.engine import Engine
from apflow.testing.faults import CancelledAt
from apflow.testing.hosting import engine_of, host_of
from apflow.values import checked
from apflow_hookspecs import EMPTY, ExecutableTask, Task, TaskContext, TaskTree
from apflow_hookspecs.errors import ApflowError

GRACE = 10.0
"""Seconds that an executor has to end in; a healthy one takes none of them."""
ENOUGH = 1000


class ExecutorContract:
    """Inherit from it, name the class `Test…`, and say what is tested.

    Attributes:
        plugin: The module or object that provides the executor.
        executor_id: Its id.
        example: Inputs with which it works.
        refused: Inputs with which it does not, by the name that the refusal mentions; empty where it takes anything.
        lasting: Inputs with which it takes so long that it can be cancelled; None where it is never long.
    """

    plugin: ClassVar[Any]
    executor_id: ClassVar[str]
    example: ClassVar[Mapping[str, Any]] = EMPTY
    refused: ClassVar[Mapping[str, Mapping[str, Any]]] = EMPTY
    lasting: ClassVar[Mapping[str, Any] | None] = None

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def executor(self) -> ExecutableTask:
        """The executor, as its plugin provides it."""
        return host_of(plugins={"tested": self.plugin}).executors[self.executor_id]

    def opened(self) -> AbstractAsyncContextManager[Engine]:
        """An engine with the plugin."""
        return engine_of(plugins={"tested": self.plugin}, cancel_grace=GRACE)

    def array(self, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A tree of one task."""
        return [{"id": "tested", "executor": self.executor_id, "inputs": dict(inputs)}]

    async def test_it_has_an_id_that_tasks_can_name(self, executor: ExecutableTask) -> None:
        assert isinstance(executor, ExecutableTask)
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", executor.id)

    async def test_it_describes_itself(self, executor: ExecutableTask) -> None:
        summary = getattr(executor, "summary", "")
        assert summary.strip(), "a summary is missing"
        assert "\n" not in summary, "a summary is one line"
        for name in ("input_schema", "output_schema"):
            schema = getattr(executor, name, None)
            assert schema is None or checked(schema)["type"] == "object"

    async def test_it_can_be_provided_to_two_hosts(self, executor: ExecutableTask) -> None:
        other = host_of(plugins={"tested": self.plugin}).executors[self.executor_id]
        assert Call(executor).accepts == Call(other).accepts

    async def test_its_example_works_and_its_result_is_json(self, executor: ExecutableTask) -> None:
        async with self.opened() as engine:
            tree = await engine.creator.create_task_tree_from_array(self.array(self.example))
            done = await engine.manager.distribute_task_tree(tree)
        assert done.root.status == "completed", done.root.error
        required = (getattr(executor, "output_schema", None) or {}).get("required", ())
        assert [name for name in required if name not in done.root.result] == []

    async def test_many_of_it_run_side_by_side(self) -> None:
        async with self.opened() as engine:
            array = [{"id": "root"}, *({**self.array(self.example)[0], "id": f"t{n}", "parent_id": "root"} for n in range(8))]
            tree = await engine.creator.create_task_tree_from_array(array)
            done = await engine.manager.distribute_task_tree(tree)
        assert {task.status for task in done} == {"completed"}

    async def test_inputs_that_do_not_fit_are_refused_by_name(self) -> None:
        async with self.opened() as engine:
            told = {name: await self._refusal(engine, inputs) for name, inputs in self.refused.items()}
        assert {name: text for name, text in told.items() if name not in text} == {}

    async def _refusal(self, engine: Engine, inputs: Mapping[str, Any]) -> str:
        """What is said of inputs, when the tree is created or when it runs; nothing where they are taken."""
        try:
            tree = await engine.creator.create_task_tree_from_array(self.array(inputs), fresh_ids=True)
        except ApflowError as error:
            return str(error)
        done = await engine.manager.distribute_task_tree(tree)
        bad = done.root.error is not None and done.root.error["code"] in ("bad_input", "denied")
        return str(done.root.error["message"]) if bad and done.root.error is not None else ""

    async def test_when_it_is_cancelled_it_ends_in_time_and_leaves_nothing_behind(self) -> None:
        async with nothing_left(), self.opened() as engine:
            inputs = self.example if self.lasting is None else self.lasting
            tree = await engine.creator.create_task_tree_from_array(self.array(inputs), execute=True)
            done = await self._cancelled(engine, tree)
            assert engine.manager.abandoned == 0
        assert done.root.status == "cancelled" or (self.lasting is None and done.root.status == "completed")

    async def _cancelled(self, engine: Engine, tree: TaskTree) -> TaskTree:
        async for event in engine.watch(tree.id):
            if event.type == "task_started":
                break
        await engine.manager.cancel(tree.id)
        return await engine.manager.wait(tree.id)

    async def test_at_whatever_await_it_is_cancelled_it_leaves_nothing_behind(self, executor: ExecutableTask) -> None:
        task = Task(n=0, id="tested", key="tested", name="tested", tree_id="tested", executor=executor.id, inputs=self.example)
        call = Call(executor)
        async with nothing_left():
            for k in range(1, ENOUGH):
                attempt = CancelledAt(_awaited(call, self.example, TaskContext(task=task)), k)
                try:
                    await asyncio.wait_for(attempt, GRACE)
                except asyncio.CancelledError:
                    continue
                break
            else:
                pytest.fail(f"it waits more than {ENOUGH} times")


async def _awaited(call: Call, inputs: Mapping[str, Any], context: TaskContext) -> Any:
    return await call.invoke(inputs, context)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fails when processes or threads are left that were not there before."""
    this = psutil.Process()
    processes, threads = set(this.children(recursive=True)), set(threading.enumerate())
    yield
    await asyncio.get_running_loop().shutdown_default_executor()
    _, left = psutil.wait_procs(set(this.children(recursive=True)) - processes, timeout=GRACE)
    assert left == [], f"processes are left: {left}"
    for thread in set(threading.enumerate()) - threads:
        thread.join(GRACE)
        assert not thread.is_alive(), f"{thread.name} is left"
