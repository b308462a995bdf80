"""When a circuit opens and closes, and what becomes of tasks meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from apflow_circuit.failures import is_failure
from apflow_circuit.kept import NAMESPACE
from apflow_circuit.options import Options
from apflow_hookspecs import Lost, Policy, Retry, TaskFailed, Wait, executor

from .conftest import asking, each, now, settle

CLOSED = ["failed", "failed", "failed"]


def test_failures_one_after_the_other_open_it_and_nothing_is_tried_until_it_is_half_open(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            assert await each(engine, 5) == [*CLOSED, "circuit_open", "circuit_open"]
            await asyncio.sleep(29.9)
            assert await each(engine, 1) == ["circuit_open"]
            await asyncio.sleep(0.2)
            return await each(engine, 2)

    assert clock.run(scenario()) == ["failed", "circuit_open"]
    assert len(service.asked) == 4


def test_a_success_in_half_open_closes_it(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            service.down = False
            await asyncio.sleep(31)
            assert await each(engine, 3) == ["completed"] * 3
            service.down = True
            return await each(engine, 4)

    assert clock.run(scenario()) == [*CLOSED, "circuit_open"]


def test_a_success_between_failures_starts_the_count_anew(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            codes = []
            for service.down in (True, True, False, True, True, False):
                codes += await each(engine, 1)
            return codes

    assert "circuit_open" not in clock.run(scenario())


def test_failures_that_are_older_than_the_window_do_not_count(clock, opened):
    async def scenario():
        async with opened() as engine:
            codes = []
            for _ in range(6):
                codes += await each(engine, 1, window=10)
                await asyncio.sleep(6)
            return codes

    assert clock.run(scenario()) == ["failed"] * 6


def test_a_refusal_tells_when_to_try_again(clock, opened):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            await asyncio.sleep(10)
            tree = await engine.creator.create_task_tree_from_array([{**asking("t"), "parent_id": None}])
            return (await engine.manager.distribute_task_tree(tree)).root.error

    error = clock.run(scenario())
    assert error["message"] == "the circuit of ask is open: it failed too often, and is tried again in 20 s"
    assert error["details"] == {"circuit": "ask", "until": "2025-07-31T12:00:30.000000Z"}


def test_a_refusal_can_be_tried_again_by_whoever_reads_its_retry_after(clock, opened, service):
    service.up_at = 35

    async def patient(call_next, context, options):
        try:
            return await call_next()
        except TaskFailed as error:
            raise Retry(after=error.retry_after) from error

    async def scenario():
        async with opened(policies=[Policy("patient", patient, order=200)]) as engine:
            await each(engine, 3)
            late = asking("late")
            late["policies"]["patient"] = {}
            await asyncio.sleep(10)
            return await settle(engine, late), now()

    codes, at = clock.run(scenario())
    assert (codes, service.keys[3:]) == (["failed"], ["late"])
    assert at == pytest.approx(30)


def test_tasks_may_also_wait_until_it_is_closed(clock, opened, service):
    service.up_at = 50

    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            waiting = [asking(f"w{n}", when_open="wait") for n in range(3)]
            return await settle(engine, *waiting), now()

    codes, at = clock.run(scenario())
    assert sorted(codes) == ["completed", "completed", "failed"]
    assert [second for second, _ in service.asked[3:]] == [30, 60, 63]  # who waits for a probe looks a tenth of the time later
    assert at == 63


def test_only_so_many_probes_try_at_once(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            service.down = False
            await asyncio.sleep(31)
            slow = [asking(f"p{n}", probes=2, inputs={"seconds": 5}) for n in range(4)]
            return await settle(engine, *slow)

    assert sorted(clock.run(scenario())) == ["circuit_open", "circuit_open", "completed", "completed"]


def test_the_end_of_an_attempt_that_began_before_it_was_opened_changes_nothing(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            early = asyncio.ensure_future(settle(engine, asking("early", inputs={"seconds": 20})))
            await asyncio.sleep(1)
            await each(engine, 3)
            service.down = False
            assert await early == ["completed"]
            return await each(engine, 1)

    assert clock.run(scenario()) == ["circuit_open"]


def test_a_timeout_is_a_failure(clock, opened):
    async def scenario():
        async with opened() as engine:
            slow = [asking(f"s{n}", timeout=2, inputs={"seconds": 60}) for n in range(3)]
            return await settle(engine, *slow), await each(engine, 1)

    assert clock.run(scenario()) == (["timeout"] * 3, ["circuit_open"])


@pytest.mark.parametrize("code", ["bad_input", "denied", "rate_limited"])
def test_errors_that_say_nothing_of_the_service_are_no_failures(clock, opened, service, code):
    service.error = TaskFailed("no", error=code)

    async def scenario():
        async with opened() as engine:
            return await each(engine, 4)

    assert clock.run(scenario()) == [code] * 4


@pytest.mark.parametrize(
    ("on", "error", "counts"),
    [
        (["OSError"], ConnectionResetError("bye"), True),
        (["ConnectionError"], FileNotFoundError("x"), False),
        (["failed"], ValueError("x"), True),
        (["rate_limited"], TaskFailed("429", error="rate_limited"), True),
        (["timeout"], TaskFailed("no", error="denied"), False),
        ([], ConnectionError("x"), False),
    ],
)
def test_a_task_may_say_which_errors_are_failures(on, error, counts):
    assert is_failure(error, Options(on=tuple(on))) is counts


def test_a_task_that_says_which_errors_are_failures_is_heard(clock, opened):
    async def scenario():
        async with opened() as engine:
            return await each(engine, 4, on=["timeout"]) + await each(engine, 4, on=["OSError", "timeout"])

    assert clock.run(scenario()) == ["failed"] * 7 + ["circuit_open"]


def test_a_retry_of_the_executor_counts_as_the_error_from_which_it_was_raised(clock, opened):
    @executor("again")
    async def again():
        raise Retry(after=1) from ConnectionError("x")

    async def scenario():
        async with opened(again) as engine:
            return await settle(engine, asking("a", "again")), now()

    assert clock.run(scenario()) == (["circuit_open"], 3)


def test_a_retry_without_a_cause_a_loss_and_a_wait_are_neither_failure_nor_success(clock, opened):
    outcomes = [*[ConnectionError("x")] * 2, Retry(after=1), Lost("a worker"), Wait.until(0), ConnectionError("x")]
    told = []

    @executor("odd")
    async def odd():
        told.append(outcomes[len(told)])
        if isinstance(told[-1], Wait):
            return told[-1]
        raise told[-1]

    async def scenario():
        async with opened(odd) as engine:
            return [code for n in range(4) for code in await settle(engine, asking(f"o{n}", "odd"))]

    assert clock.run(scenario()) == ["failed", "failed", "failed", "circuit_open"]
    assert len(told) == len(outcomes)


def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next(clock, opened, service):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            service.down = False
            await asyncio.sleep(31)
            service.begun.clear()
            probe = {**asking("probe", inputs={"seconds": 600}), "parent_id": None}
            tree = await engine.creator.create_task_tree_from_array([probe], execute=True)
            await service.begun.wait()
            assert await each(engine, 1) == ["circuit_open"]
            await engine.manager.cancel(tree.id)
            assert (await engine.manager.wait(tree.id)).root.status == "cancelled"
            return await each(engine, 1)

    assert clock.run(scenario()) == ["completed"]


def test_cancelling_a_task_that_waits_ends_it_at_once(clock, opened):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3)
            task = {**asking("w", when_open="wait"), "parent_id": None}
            tree = await engine.creator.create_task_tree_from_array([task], execute=True)
            async for event in engine.watch(tree.id):
                if event.type == "task_waiting":
                    break
            await engine.manager.cancel(tree.id)
            return str((await engine.manager.wait(tree.id)).root.status), now()

    assert clock.run(scenario()) == ("cancelled", 0)


def test_executors_users_and_hosts_have_circuits_of_their_own(clock, opened, service):
    @executor("other")
    async def other():
        return "up"

    async def scenario():
        async with opened(other) as engine:
            await each(engine, 3, key="/url", inputs={"url": "https://me:secret@one.example/a"})
            assert await each(engine, 1, key="/url", inputs={"url": "https://ONE.example/b?c"}) == ["circuit_open"]
            assert await each(engine, 1, key="/url", inputs={"url": "https://two.example/a"}) == ["failed"]
            assert await settle(engine, asking("o", "other")) == ["completed"]
            for n in range(3):
                await settle(engine, asking(f"u{n}", key="user"), user_id="ada")
            assert await settle(engine, asking("u", key="user"), user_id="ada") == ["circuit_open"]
            assert await settle(engine, asking("u", key="user"), user_id="bob") == ["failed"]
            return [record.key for record in await engine.storage.records(NAMESPACE)]

    names = clock.run(scenario())
    assert 'ask ["/url", "one.example"]' in names
    assert not [name for name in names if "secret" in name]


def test_a_long_key_is_stored_short(clock, opened):
    async def scenario():
        async with opened() as engine:
            await each(engine, 3, key="/url", inputs={"url": "x" * 5000})
            assert await each(engine, 1, key="/url", inputs={"url": "x" * 5000}) == ["circuit_open"]
            assert await each(engine, 1, key="/url", inputs={"url": "x" * 5001}) == ["failed"]
            return [len(record.key) for record in await engine.storage.records(NAMESPACE)]

    assert max(clock.run(scenario())) < 100
