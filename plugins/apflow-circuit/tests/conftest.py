from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from attrs import define, field
from samples import group, task

from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow_circuit import CircuitBreaker
from apflow_hookspecs import TaskContext, executor


@define(eq=False)
class Service:
    """What the executor `ask` asks: down, or up from a second on. It notes when it was asked, in seconds, and for whom."""

    down: bool = True
    up_at: float = float("inf")
    error: Exception = field(factory=lambda: ConnectionError("nobody there"))
    asked: list[tuple[float, str]] = field(factory=list)
    begun: asyncio.Event = field(factory=asyncio.Event)

    @property
    def executor(self):
        @executor("ask")
        async def ask(context: TaskContext, url: str = "", seconds: float = 0.0):
            self.asked.append((now(), context.task.key))
            self.begun.set()
            await asyncio.sleep(seconds)
            if self.down and now() < self.up_at:
                raise self.error
            return "up"

        return ask

    @property
    def keys(self):
        return [key for _, key in self.asked]


def now():
    """Seconds since the virtual clock was started."""
    return (time.time_ns() // 1000 - NOON) / 1_000_000


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def opened(service):
    """An engine with the circuit breaker and `ask`, and whatever else a test hands over."""

    @asynccontextmanager
    async def opened(*executors, **options):
        async with engine_of(service.executor, *executors, plugins={"circuit": CircuitBreaker()}, **options) as engine:
            yield engine

    return opened


def asking(key, executor_id="ask", /, *, inputs=None, dependencies=(), timeout=None, **options):
    """A task with the policy, whose options are keywords: three failures open the circuit for half a minute."""
    wanted = {"circuit": {"failures": 3, "reset_after": 30, **options}}
    return task(key, executor_id, policies=wanted, dependencies=dependencies, timeout=timeout, **(inputs or {}))


async def settle(engine, *tasks, **fields):
    """The codes of what some tasks ended with, in a tree of their own, and their status where there is none."""
    tree = await engine.creator.create_task_tree_from_array([group("root", **fields), *tasks], fresh_ids=True)
    done = await engine.manager.distribute_task_tree(tree)
    return [task.error["code"] if task.error else str(task.status) for task in done if task.executor]


async def each(engine, count, **options):
    """The same of tasks one after the other."""
    return [code for n in range(count) for code in await settle(engine, asking(f"t{n}", **options))]
