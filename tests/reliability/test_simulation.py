"""A small tree, and at every call to the storage a failure or the death of the process: in the end it has run as it should."""

from __future__ import annotations

from contextlib import suppress

import pytest
from reliability.dying import Process

from apflow.memory.storage import MemoryStorage
from apflow.testing.clock import VirtualClock
from apflow.testing.faults import CALLS, COMMITS, Tripwire, fail_once
from apflow_hookspecs.errors import StorageUnavailable

MANY = 1000
"""More calls than a run takes."""


async def calls_of_a_run(tmp_path, counted):
    """How many calls a run takes that nothing befalls."""
    process = Process(MemoryStorage(), tmp_path)
    tripwire = Tripwire(process.storage, MANY, fail_once, calls=counted)
    await process.live(tripwire)
    assert await process.violations() == []
    return tripwire.calls


def on_virtual_time(scenario):
    return VirtualClock().run(scenario)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_that_dies_at_any_commit_leaves_what_the_next_one_finishes(tmp_path, after):
    async def scenario():
        for n in range(1, await calls_of_a_run(tmp_path / "whole", COMMITS) + 1):
            process = Process(MemoryStorage(), tmp_path / str(n))
            assert await process.live_until(n, after=after), f"nothing happened at commit {n}"
            assert await process.violations(over=False) == []
            await process.live()
            assert await process.violations() == []

    on_virtual_time(scenario())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_so_does_one_that_dies_while_it_clears_up_after_another(tmp_path, after):
    async def scenario():
        for n in range(1, await calls_of_a_run(tmp_path / "whole", COMMITS) + 1):
            process = Process(MemoryStorage(), tmp_path / str(n))
            await process.live_until(n, after=True)
            for again in range(1, 4):
                await process.live_until(again, after=after)
                assert await process.violations(over=False) == []
            await process.live()
            assert await process.violations() == []

    on_virtual_time(scenario())


def test_one_that_dies_at_any_other_call_likewise(tmp_path):
    async def scenario():
        for n in range(1, await calls_of_a_run(tmp_path / "whole", CALLS) + 1):
            process = Process(MemoryStorage(), tmp_path / str(n))
            await process.live_until(n, calls=CALLS)
            await process.live()
            assert await process.violations() == []

    on_virtual_time(scenario())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("covered", ["a", "root"])
def test_a_cancellation_of_what_runs_survives_the_death_of_the_process(tmp_path, covered, after):
    async def scenario():
        n = 0
        while True:
            n += 1
            process = Process(MemoryStorage(), tmp_path / str(n), cancel=covered)
            if not await process.live_until(n, after=after):
                return
            await process.live()
            assert await process.violations() == [], f"after commit {n}"

    on_virtual_time(scenario())


def test_a_commit_that_fails_once_is_made_later_and_nothing_is_lost(tmp_path):
    async def scenario():
        for n in range(1, await calls_of_a_run(tmp_path / "whole", COMMITS) + 1):
            process = Process(MemoryStorage(), tmp_path / str(n))
            tripwire = Tripwire(process.storage, n, fail_once)
            await process.live(tripwire)
            assert tripwire.calls > n
            assert await process.violations() == []
            assert process.starts_of("a") == 1, "what has run is written later, not run again"

    on_virtual_time(scenario())


def test_a_commit_that_was_made_and_seemed_to_fail_is_settled_at_the_latest_by_the_next_process(tmp_path):
    async def scenario():
        for n in range(1, await calls_of_a_run(tmp_path / "whole", COMMITS) + 1):
            process = Process(MemoryStorage(), tmp_path / str(n))
            with suppress(StorageUnavailable, ExceptionGroup):
                await process.live(Tripwire(process.storage, n, fail_once, after=True))
            assert await process.violations(over=False) == []
            await process.live()
            assert await process.violations() == []

    on_virtual_time(scenario())
