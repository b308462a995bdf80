"""Counting in memory, on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest
from limits import parse

from apflow_ratelimit.counting import Counting
from apflow_ratelimit.memory import BoundedMemory
from apflow_ratelimit.options import Options

RATE = parse("10/minute")


async def taken(counting, times, who="ada", rate=RATE):
    """How many of some requests are let in."""
    return sum([(await counting.count("requests", rate, who)).admitted for _ in range(times)])


def test_so_many_are_let_in_and_no_more(clock):
    assert clock.run(taken(Counting.of(Options()), 25)) == 10


def test_a_count_tells_what_is_left(clock):
    async def scenario():
        counting = Counting.of(Options())
        return [(await counting.count("requests", RATE, "ada")).left for _ in range(12)]

    assert clock.run(scenario()) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]


@pytest.mark.parametrize("early", [0.01, 0.1, 17.0, 59.9])
def test_after_the_time_that_is_told_there_is_room_again(clock, early):
    async def scenario():
        counting = Counting.of(Options())
        await asyncio.sleep(early)
        await taken(counting, 10)
        refused = await counting.count("requests", RATE, "ada")
        await asyncio.sleep(refused.seconds + 0.001)
        return refused, await counting.count("requests", RATE, "ada")

    refused, later = clock.run(scenario())
    assert not refused.admitted
    assert later.admitted
    assert 0 < refused.seconds <= 60


def test_at_the_turn_of_the_minute_nobody_gets_the_rate_twice(clock):
    async def scenario():
        counting = Counting.of(Options())
        await asyncio.sleep(59)
        before = await taken(counting, 20)
        await asyncio.sleep(2)
        return before, await taken(counting, 20)

    assert clock.run(scenario()) == (10, 1)


def test_over_a_long_time_the_rate_is_kept_and_reached(clock):
    async def scenario():
        counting, admitted = Counting.of(Options()), 0
        for _ in range(1200):
            await asyncio.sleep(0.5)
            admitted += await taken(counting, 1)
        return admitted

    assert 90 <= clock.run(scenario()) <= 110


def test_each_caller_and_each_rate_is_counted_alone(clock):
    async def scenario():
        counting = Counting.of(Options())
        other = await taken(counting, 11, rate=parse("3/minute"))
        return other, await taken(counting, 11), await taken(counting, 11, "bob")

    assert clock.run(scenario()) == (3, 10, 10)


def test_memory_holds_no_more_counts_than_it_may(clock):
    async def scenario():
        memory = BoundedMemory(100)
        counting = Counting(memory, 1.0)
        for n in range(1000):
            await taken(counting, 1, f"user {n}")
        return len(memory)

    assert clock.run(scenario()) == 100


def test_who_goes_on_is_not_forgotten_for_others(clock):
    async def scenario():
        counting = Counting(BoundedMemory(10), 1.0)
        await taken(counting, 10, "eve")
        admitted = 0
        for n in range(100):
            await taken(counting, 1, f"user {n}")
            admitted += await taken(counting, 1, "eve")
        return admitted

    assert clock.run(scenario()) == 0


def test_counts_that_are_over_are_given_back(clock):
    async def scenario():
        memory = BoundedMemory(10_000)
        counting = Counting(memory, 1.0)
        for n in range(1000):
            await taken(counting, 1, f"user {n}")
        await asyncio.sleep(121)
        for _ in range(1000):
            await taken(counting, 1, "ada", parse("10000/minute"))
        return len(memory)

    assert clock.run(scenario()) == 1


def test_a_clock_that_is_set_back_locks_nobody_out(clock):
    async def scenario():
        counting = Counting.of(Options())
        await taken(counting, 10)
        clock.set(-86_400)
        return await taken(counting, 11)

    assert clock.run(scenario()) == 10
