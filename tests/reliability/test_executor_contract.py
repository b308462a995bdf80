"""The executor contract: a good executor keeps it, and each kind of bad one breaks it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from samples import Recorder

from apflow.testing import executors, host_of
from apflow.testing.executors import ExecutorContract
from apflow.testing.hosting import Handed
from apflow_hookspecs import executor


def contract(tested, **attributes):
    """The contract of one executor."""
    given = {"plugin": Handed((tested,)), "executor_id": tested.id, **attributes}
    return type("Contract", (ExecutorContract,), given)()


@executor("nap", summary="Rest a while")
async def nap(seconds: float = 0):
    await asyncio.sleep(seconds)
    return {"rested": seconds}


class TestNap(ExecutorContract):
    plugin = Handed((nap,))
    executor_id = "nap"
    refused = {"seconds": {"seconds": "long"}, "sceonds": {"sceonds": 1}}
    lasting = {"seconds": 3600}


def test_without_a_summary_it_is_refused():
    @executor("quiet")
    async def quiet():
        return None

    with pytest.raises(AssertionError, match="summary"):
        asyncio.run(contract(quiet).test_it_describes_itself(host_of(quiet).executors["quiet"]))


async def test_a_result_that_is_no_json_is_refused():
    @executor("bytes", summary="Bytes")
    async def raw():
        return b"raw"

    with pytest.raises(AssertionError, match="bad_result"):
        await contract(raw).test_its_example_works_and_its_result_is_json(raw)


async def test_inputs_that_it_should_refuse_and_takes_are_told():
    with pytest.raises(AssertionError, match="seconds"):
        await contract(nap, refused={"seconds": {"seconds": 0}}).test_inputs_that_do_not_fit_are_refused_by_name()


async def test_one_that_does_not_end_when_it_is_cancelled_is_refused(monkeypatch):
    monkeypatch.setattr(executors, "GRACE", 0.05)
    recorder = Recorder()

    @executor("deaf", summary="Does not listen")
    async def deaf():
        while not recorder.gate.is_set():
            try:
                await recorder.gate.wait()
            except asyncio.CancelledError:
                continue

    try:
        with pytest.raises(AssertionError, match="abandoned"):
            await contract(deaf, lasting={}).test_when_it_is_cancelled_it_ends_in_time_and_leaves_nothing_behind()
    finally:
        recorder.gate.set()


async def test_one_that_leaves_a_thread_is_refused(monkeypatch):
    monkeypatch.setattr(executors, "GRACE", 0.05)
    over = threading.Event()

    @executor("thread", summary="Leaves a thread")
    async def leaves():
        threading.Thread(target=over.wait).start()
        await asyncio.sleep(3600)

    with pytest.raises(AssertionError, match="is left"):
        await contract(leaves, lasting={}).test_when_it_is_cancelled_it_ends_in_time_and_leaves_nothing_behind()
    over.set()


async def test_one_that_leaves_a_process_is_refused(monkeypatch):
    monkeypatch.setattr(executors, "GRACE", 0.05)
    left = []

    @executor("process", summary="Leaves a process")
    async def leaves():
        left.append(await asyncio.create_subprocess_exec("sleep", "60"))
        await asyncio.sleep(3600)

    with pytest.raises(AssertionError, match="processes are left"):
        await contract(leaves, lasting={}).test_when_it_is_cancelled_it_ends_in_time_and_leaves_nothing_behind()
    for process in left:
        process.kill()
        await process.wait()
