"""Executors and short ways to write trees, for tests of trees that run."""

from __future__ import annotations

import asyncio

from attrs import define, field

from apflow.testing import engine_of
from apflow_hookspecs import TaskContext, executor, hookimpl


@executor("noop")
async def noop():
    return None


@executor("echo")
async def echo(value=None):
    return value


@executor("add")
async def add(a: int, b: int = 1) -> int:
    return a + b


@executor("boom")
async def boom(message: str = "no"):
    raise ValueError(message)


class Vault:
    """A plugin that knows any secret."""

    @hookimpl
    def apflow_resolve_secret(self, name):
        return f"the value of {name}"


def group(key, **fields):
    """A group; the root, where no parent is given."""
    return {"id": key, **fields}


def task(
    key, executor_id, parent_id="root", *, dependencies=(), priority=None, policies=None, timeout=None, params=None, **inputs
):
    """A task under the root, with its inputs as keywords."""
    fields = {
        "dependencies": list(dependencies),
        "priority": priority,
        "policies": policies,
        "timeout": timeout,
        "params": params,
    }
    parent = None if key == "root" else parent_id
    return {"id": key, "parent_id": parent, "executor": executor_id, "inputs": inputs, **fields}


async def run(tasks, *executors, **options):
    """The settled tree of an array, run by an engine in memory."""
    async with engine_of(*executors, **options) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        return await asyncio.wait_for(engine.manager.distribute_task_tree(tree), 60)


@define(eq=False)
class Recorder:
    """Executors that note when each task starts and ends; `held` waits until `gate` is set."""

    started: list[str] = field(factory=list)
    ended: list[str] = field(factory=list)
    gate: asyncio.Event = field(factory=asyncio.Event)
    at_gate: asyncio.Event = field(factory=asyncio.Event)

    def executors(self):
        @executor("note")
        async def note(context: TaskContext):
            self.started.append(context.task.key)
            await asyncio.sleep(0)
            self.ended.append(context.task.key)

        @executor("held")
        async def held(context: TaskContext):
            self.started.append(context.task.key)
            self.at_gate.set()
            await self.gate.wait()
            self.ended.append(context.task.key)

        return note, held


@define(eq=False)
class Work:
    """The executor `work`, which fails for the tasks in `failing` and notes, in `done`, for whom it was called."""

    failing: set[str] = field(factory=set)
    done: list[str] = field(factory=list)

    @property
    def executor(self):
        @executor("work")
        async def work(context: TaskContext, value=None):
            self.done.append(context.task.key)
            if context.task.key in self.failing:
                raise ValueError("not yet")
            return context.task.key

        return work

    def taken(self):
        """For whom it was called since this was asked last, by key."""
        done, self.done = sorted(self.done), []
        return done
