"""Engines with the cache on a clock that does not wait, and an executor that notes for whom it runs."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field
from samples import Vault, group, task

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_cache import Cache
from apflow_hookspecs import TaskContext, executor

SECONDS = 10
"""What an attempt of `slow` takes."""


@define(eq=False)
class Bench:
    """Tasks of the executor `slow`, and engines that run them; `failing` are the keys of those that fail."""

    ran: list[str] = field(factory=list)
    failing: set[str] = field(factory=set)
    clock: VirtualClock = field(factory=VirtualClock)

    def executors(self):
        @executor("slow")
        async def slow(context: TaskContext, value=None):
            return await self._work(context, value)

        @executor("other")
        async def other(context: TaskContext, value=None):
            return await self._work(context, value)

        return slow, other

    async def _work(self, context, value):
        self.ran.append(context.task.key)
        await asyncio.sleep(SECONDS)
        if context.task.key in self.failing:
            raise ValueError("not today")
        return {"value": value, "by": context.task.key}

    def run(self, scenario, *executors, plugins=(), **options):
        """What `scenario(engine)` returns."""

        async def opened():
            handed = {"cache": Cache(), "vault": Vault(), **dict(plugins)}
            async with engine_of(*self.executors(), *executors, plugins=handed, **options) as engine:
                return await scenario(engine)

        return self.clock.run(opened())

    @staticmethod
    def task(key, executor_id="slow", *, also=(), dependencies=(), params=None, timeout=None, value=1, **options):
        """A task with the policy, whose options are keywords; `also` are further policies."""
        policies = {"cache": options, **dict(also)}
        return task(key, executor_id, policies=policies, dependencies=dependencies, params=params, timeout=timeout, value=value)

    @staticmethod
    async def begin(engine, *tasks, **fields):
        """A tree of some tasks, which has been asked to run; each call makes another one."""
        array = [group("root", **fields), *tasks]
        return await engine.creator.create_task_tree_from_array(array, fresh_ids=True, execute=True)

    async def settle(self, engine, *tasks, **fields):
        """The same, once it has settled."""
        tree = await self.begin(engine, *tasks, **fields)
        return await engine.manager.wait(tree.id)

    def one_by_one(self, *trees, **options):
        """The keys of the tasks that were worked for, of trees of one task, each run when the one before has settled."""

        async def scenario(engine):
            for found in trees:
                own, fields = found if isinstance(found, tuple) else (found, {})
                await self.settle(engine, own, **fields)
            return self.ran

        return self.run(scenario, **options)


@pytest.fixture
def bench():
    return Bench()
