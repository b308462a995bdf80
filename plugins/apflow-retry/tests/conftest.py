from __future__ import annotations

import asyncio
from random import Random

import pytest

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import TaskContext, executor
from apflow_retry import Retries


class Flaky:
    """Trees of one task, which ends in turn with each of some outcomes and stays with the last; hours of it take no time."""

    def __init__(self):
        self.clock = VirtualClock()
        self.plugin = Retries()
        self.plugin.random = Random(1)  # noqa: S311 - a test
        self.starts = []
        """Seconds at which each attempt began."""

    def executor(self, outcomes, seconds=0.0):
        """The executor `flaky`; an outcome that is an exception is raised, and each takes some seconds."""

        @executor("flaky", summary="Fails as it is told")
        async def flaky(context: TaskContext):
            outcome = outcomes[min(len(self.starts), len(outcomes) - 1)]
            self.starts.append(self.clock.monotonic())
            await asyncio.sleep(seconds)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome(context) if callable(outcome) else outcome

        return flaky

    def opened(self, *outcomes, seconds=0.0, **options):
        """An engine with the plugin and the executor."""
        options.setdefault("plugins", {})["retry"] = self.plugin
        return engine_of(self.executor(outcomes, seconds), **options)

    @staticmethod
    def task(**options):
        return {"id": "only", "executor": "flaky", "policies": {"retry": options}}

    def run(self, *outcomes, seconds=0.0, timeout=None, **options):
        """The task at its end, and its attempts before the last."""
        return self.clock.run(self._run(outcomes, seconds, {**self.task(**options), "timeout": timeout}))

    async def _run(self, outcomes, seconds, task):
        async with self.opened(*outcomes, seconds=seconds) as engine:
            tree = await engine.creator.create_task_tree_from_array([task])
            done = await engine.manager.distribute_task_tree(tree)
            return done.root, await engine.storage.attempts("only")

    @property
    def delays(self):
        """Seconds between the starts of the attempts."""
        return [after - before for before, after in zip(self.starts, self.starts[1:], strict=False)]


@pytest.fixture
def flaky():
    return Flaky()
