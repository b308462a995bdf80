import asyncio

from apflow.deadlines import Deadlines


class Told(list):
    """What was over, and the event that tells when so many are."""

    def __init__(self, count):
        self.count = count
        self.all = asyncio.Event()

    def __call__(self, thing):
        self.append(thing)
        if len(self) == self.count:
            self.all.set()


async def test_what_is_not_removed_in_time_is_over_in_the_order_in_which_it_is_due():
    told = Told(3)
    deadlines = Deadlines(told)
    deadlines.add("last", 0.03)
    deadlines.add("first", 0.01)
    deadlines.add("removed", 0.01)
    deadlines.add("second", 0.01)
    deadlines.remove("removed", 0.01)
    await told.all.wait()
    assert told == ["first", "second", "last"]


async def test_a_time_that_was_over_can_be_used_again():
    told = Told(1)
    deadlines = Deadlines(told)
    deadlines.add("early", 0.01)
    await told.all.wait()
    told.count = 2
    told.all.clear()
    deadlines.add("late", 0.01)
    await told.all.wait()
    assert told == ["early", "late"]


async def test_one_timer_serves_all_that_have_the_same_time():
    loop = asyncio.get_running_loop()
    before = len(loop._scheduled)
    deadlines = Deadlines(Told(0))
    for thing in range(1000):
        deadlines.add(thing, 60.0)
    assert len(loop._scheduled) == before + 1
    deadlines.close()


async def test_nothing_is_over_once_they_are_closed():
    told, later = Told(1), asyncio.Event()
    deadlines = Deadlines(told)
    deadlines.add("never", 0.005)
    deadlines.close()
    asyncio.get_running_loop().call_later(0.01, later.set)
    await later.wait()
    assert told == []
