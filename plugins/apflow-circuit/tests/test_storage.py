"""What circuits cost, and what of them outlives a process."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import define

import apflow_sqlite
from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow_circuit import CircuitBreaker
from apflow_circuit.breaking import LEASE, Breaking
from apflow_circuit.circuit import SECOND, Circuit
from apflow_circuit.kept import NAMESPACE, Circuits
from apflow_circuit.options import Options
from apflow_hookspecs import Storage, Task, TaskContext, TaskFailed
from apflow_hookspecs.errors import StorageUnavailable

from .conftest import asking, each, settle

OPTIONS = Options(failures=2, reset_after=30)


@define
class Counted:
    """A storage that counts what circuits ask of it, and can be out of reach."""

    storage: Storage
    reads: int = 0
    writes: int = 0
    away: bool = False

    async def record(self, namespace, key):
        self.reads += 1
        self._reach()
        found = await self.storage.record(namespace, key)
        await asyncio.sleep(0)  # another process may write before this one does
        return found

    async def commit(self, batch):
        self.writes += 1
        self._reach()
        return await self.storage.commit(batch)

    def _reach(self):
        if self.away:
            raise StorageUnavailable


@define
class Started:
    """As much of an engine as the plugin is handed."""

    storage: object


@pytest.fixture
def storage():
    return Counted(MemoryStorage())


@pytest.fixture
def breaker(storage):
    return started(storage)


def started(storage):
    """What the policy does, as another process has it."""
    breaking = Breaking()
    breaking.begin(Started(storage))
    return breaking


async def down():
    raise ConnectionError("nobody there")


async def denied():
    raise TaskFailed("no", error="denied")


async def up():
    return "up"


async def attempt(breaker, inner, key="t", options=OPTIONS):
    """What an attempt by hand comes to."""
    task = Task(n=0, id=key, key=key, name=key, tree_id=key, executor="ask")
    try:
        return await breaker.around(inner, TaskContext(task=task, idempotency_key=f"{key}:1"), options)
    except (ConnectionError, TaskFailed) as error:
        return getattr(error, "error", "failed")


def test_a_healthy_circuit_is_read_once_a_second_and_never_written(clock, breaker, storage):
    async def scenario():
        for n in range(1000):
            await attempt(breaker, up, f"t{n}")
            await asyncio.sleep(0.01)

    clock.run(scenario())
    assert (storage.reads, storage.writes) == (10, 0)


async def test_many_tasks_of_a_healthy_executor_leave_no_record(opened, service):
    service.down = False
    async with opened() as engine:
        assert set(await settle(engine, *[asking(f"t{n}") for n in range(100)])) == {"completed"}
        assert await engine.storage.records(NAMESPACE) == []


async def test_failures_and_changes_are_written_and_refusals_are_not(breaker, storage):
    assert [await attempt(breaker, down, f"t{n}") for n in range(9)] == ["failed"] * 2 + ["circuit_open"] * 7
    record = await storage.storage.record(NAMESPACE, "ask")
    assert (storage.writes, record.version) == (2, 2)
    assert record.expires_at > time.time_ns() // 1000


def test_a_success_after_a_failure_deletes_the_record_and_a_further_one_writes_nothing(clock, breaker, storage):
    async def scenario():
        for inner in (down, up, up, up):
            await attempt(breaker, inner)
        return await storage.storage.record(NAMESPACE, "ask")

    assert clock.run(scenario()) is None
    assert storage.writes == 2


async def test_failures_side_by_side_are_all_counted(breaker, storage):
    options = Options(failures=50)
    told = await asyncio.gather(*(attempt(breaker, down, f"t{n}", options) for n in range(49)))
    assert set(told) == {"failed"}
    assert [await attempt(breaker, down, "last", options), await attempt(breaker, up, "no", options)] == [
        "failed",
        "circuit_open",
    ]


async def test_two_processes_count_together(breaker, storage):
    other = started(storage)
    await asyncio.gather(*(attempt(each, down, f"t{n}", Options(failures=10)) for n in range(5) for each in (breaker, other)))
    record = await storage.storage.record(NAMESPACE, "ask")
    assert Circuit.from_json(record.value).opened is not None


async def test_a_success_does_not_close_what_another_process_opens_meanwhile(breaker, storage):
    other = started(storage)
    assert [await attempt(each, inner, "t0") for each, inner in ((breaker, down), (other, denied))] == ["failed", "denied"]
    await asyncio.gather(attempt(other, down, "t1"), attempt(breaker, up, "t2"))
    assert await attempt(started(storage), up, "t3") == "circuit_open"


def test_a_process_sees_within_a_second_what_another_has_opened(clock, breaker, storage):
    async def scenario():
        assert await attempt(breaker, up) == "up"
        other = started(storage)
        for n in range(2):
            await attempt(other, down, f"t{n}")
        await asyncio.sleep(1)
        return await attempt(breaker, up)

    assert clock.run(scenario()) == "circuit_open"


def test_a_probe_whose_process_died_is_waited_for_only_so_long(clock, breaker, storage):
    died = Options(failures=1, reset_after=30)

    async def scenario():
        await attempt(breaker, down, options=died)
        await asyncio.sleep(31)
        at = time.time_ns() // 1000
        await Circuits(storage).edit("ask", lambda circuit: circuit.entered("dead:1:1", at, round(LEASE * SECOND), died), died)
        after = started(storage)
        await asyncio.sleep(LEASE - 1)
        told = [await attempt(after, up, options=died)]
        await asyncio.sleep(2)
        return [*told, await attempt(after, up, options=died), await attempt(after, up, "another", options=died)]

    assert clock.run(scenario()) == ["circuit_open", "up", "up"]


def test_a_probe_that_was_cut_off_goes_on_as_one_when_its_task_is_recovered(clock, breaker, storage):
    async def scenario():
        for n in range(2):
            await attempt(breaker, down, f"t{n}")
        await asyncio.sleep(31)
        at = time.time_ns() // 1000
        await Circuits(storage).edit("ask", lambda circuit: circuit.entered("probe:1:1", at, SECOND * 300, OPTIONS), OPTIONS)
        after = started(storage)
        return [await attempt(after, up, "another"), await attempt(after, up, "probe"), await attempt(after, up, "another")]

    assert clock.run(scenario()) == ["circuit_open", "up", "up"]


async def test_while_the_storage_cannot_be_used_the_circuit_goes_on_in_memory(breaker, storage, caplog):
    storage.away = True
    assert [await attempt(breaker, inner) for inner in (up, down, down, up)] == ["up", "failed", "failed", "circuit_open"]
    assert "the circuit ask could not be stored" in caplog.text


async def test_an_open_circuit_is_open_after_a_restart(service, tmp_path):
    url = f"sqlite:///{tmp_path / 'flow.db'}"

    async def run(*codes):
        async with engine_of(
            service.executor, plugins={"circuit": CircuitBreaker(), "sqlite": apflow_sqlite}, url=url
        ) as engine:
            assert await each(engine, len(codes), reset_after=3600) == list(codes)

    await run("failed", "failed")
    await run("failed", "circuit_open")
    await run("circuit_open")
    assert len(service.asked) == 3
