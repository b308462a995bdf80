from __future__ import annotations

import asyncio

import pytest

import apflow_approval
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock


class Trees:
    """Trees of one task, run on a clock that does not wait."""

    def __init__(self):
        self.clock = VirtualClock()

    def run(self, executor, answers=(), **inputs):
        """The task at its end, after these answers."""
        return self.clock.run(self._run([{"id": "only", "executor": executor, "inputs": inputs}], answers))

    async def _run(self, tasks, answers):
        async with engine_of(plugins={"approval": apflow_approval}) as engine:
            tree = await engine.creator.create_task_tree_from_array(tasks, execute=True)
            for answer in answers:
                async for event in engine.watch(tree.id):
                    if event.type == "task_waiting":
                        break
                await asyncio.sleep(1)
                await engine.manager.answer("only", answer)
            return (await engine.manager.wait(tree.id)).root


@pytest.fixture
def trees():
    return Trees()
