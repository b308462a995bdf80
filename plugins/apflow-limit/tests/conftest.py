from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from attrs import define, field
from samples import group, task

from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow_hookspecs import TaskContext, executor
from apflow_limit import Limiter


@define(eq=False)
class Work:
    """The executor `work`, which takes some seconds; it notes when each began, in seconds, and how many ran at once at most."""

    began: list[tuple[float, str]] = field(factory=list)
    running: int = 0
    most: int = 0
    started: asyncio.Event = field(factory=asyncio.Event)

    @property
    def executor(self):
        @executor("work")
        async def work(context: TaskContext, seconds: float = 0.0, url: str = ""):
            self.began.append((now(), context.task.key))
            self.started.set()
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.running -= 1

        return work

    @property
    def keys(self):
        return [key for _, key in self.began]

    @property
    def instants(self):
        return [round(at, 2) for at, _ in self.began]


def now():
    """Seconds since the virtual clock was started."""
    return (time.time_ns() // 1000 - NOON) / 1_000_000


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def opened(work):
    """An engine with the limiter and `work`, and whatever else a test hands over."""

    @asynccontextmanager
    async def opened(*executors, **options):
        async with engine_of(work.executor, *executors, plugins={"limit": Limiter()}, **options) as engine:
            yield engine

    return opened


def limited(name, executor_id="work", /, *, inputs=None, policies=None, **options):
    """A task with the policy, whose options are keywords."""
    return task(name, executor_id, policies={"limit": options, **(policies or {})}, **(inputs or {}))


async def settle(engine, *tasks, **fields):
    """The settled tree of some tasks."""
    tree = await engine.creator.create_task_tree_from_array([group("root", **fields), *tasks], fresh_ids=True)
    return await engine.manager.distribute_task_tree(tree)


async def waiting(engine, *tasks):
    """A tree that was asked to run, once one of its tasks waits."""
    tree = await engine.creator.create_task_tree_from_array([group("root"), *tasks], execute=True, fresh_ids=True)
    async for event in engine.watch(tree.id):
        if event.type == "task_waiting":
            break
    return tree


def statuses(tree):
    """How the tasks of a tree ended: codes of errors, and the status where there is none."""
    return [task.error["code"] if task.error else str(task.status) for task in tree if task.executor]
