"""Nothing that a command started outlives its task, however it tries."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from apflow_hookspecs import TaskFailed
from apflow_stdio.options import MIB, Options

FAMILY = """
import os, signal, sys

def fork(work):
    if os.fork() == 0:
        work()
        os._exit(0)

def note():
    os.write(box, b"%d " % os.getpid())

def hang():
    note()
    os.close(box)
    while True:
        signal.pause()

def leave():
    os.setsid()
    hang()

def daemonise():
    os.setsid()
    fork(hang)

def deaf():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

box = os.open(sys.argv[1], os.O_WRONLY) if len(sys.argv) > 1 else 1
"""
ALL = "fork(hang); fork(lambda: (fork(hang), hang())); fork(leave); fork(daemonise); hang()"
"""The program itself, a child, a child with a child, one in a session of its own, and a daemon that has lost its parent."""


def gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if psutil.pid_exists(pid)] and not psutil.Process().children()


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def until_gone(pids: list[int]) -> None:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 30)
    assert not alive


@pytest.mark.parametrize("manner", ["", "deaf()"], ids=["listening", "deaf"])
async def test_cancelling_ends_every_process_before_the_coroutine_ends(execute, brisk, python, mailbox, manner):
    attempt = asyncio.create_task(execute(brisk, command=[*python(FAMILY + manner + "\n" + ALL), str(mailbox.path)]))
    pids = await mailbox.numbers()
    assert len(pids) == 6
    assert all(psutil.pid_exists(pid) for pid in pids)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert gone(pids)


@pytest.mark.parametrize("manner", ["", "deaf()"], ids=["listening", "deaf"])
async def test_the_end_of_its_time_ends_every_process_and_says_so(execute, brisk, python, manner):
    with pytest.raises(TaskFailed, match=r"took longer than 3 s and was ended") as failure:
        await execute(brisk, command=python(FAMILY + manner + "\n" + ALL), timeout=3)
    assert failure.value.error == "timeout"
    pids = [int(pid) for pid in failure.value.details["stdout"].split()]
    assert len(pids) == 6
    assert gone(pids)


async def test_a_program_that_cleans_up_when_it_is_ended_has_time_to(execute, python, mailbox, tmp_path):
    program = "signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[2], 'w').close(), os._exit(0))); hang()"
    cleaned = tmp_path / "cleaned"
    attempt = asyncio.create_task(execute(command=[*python(FAMILY + program), str(mailbox.path), str(cleaned)]))
    await mailbox.numbers()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert cleaned.exists()


async def test_a_stopped_process_is_ended_too(execute, python, mailbox):
    attempt = asyncio.create_task(execute(command=[*python(FAMILY + "hang()"), str(mailbox.path)]))
    pids = await mailbox.numbers()
    os.kill(pids[0], signal.SIGSTOP)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert gone(pids)


async def test_what_is_started_anew_while_it_is_ended_ends_too(execute, brisk, python, mailbox):
    program = """
def again(*_):
    if os.fork() == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        os._exit(0)
signal.signal(signal.SIGTERM, again)
hang()
"""
    attempt = asyncio.create_task(execute(brisk, command=[*python(FAMILY + program), str(mailbox.path)]))
    pids = await mailbox.numbers()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert gone(pids)


async def test_what_a_finished_command_leaves_behind_is_ended(execute, brisk, python):
    program = "told, box = os.pipe(); note(); fork(hang); fork(leave); fork(daemonise); os.close(box); print(open(told).read())"
    result = await execute(brisk, command=python(FAMILY + program))
    pids = [int(pid) for pid in result["stdout"].split()]
    assert len(pids) == 4
    assert gone(pids)


async def test_a_command_that_is_cancelled_before_it_started_never_starts(execute, tmp_path):
    trace = tmp_path / "trace"
    attempt = asyncio.create_task(execute(command=["touch", str(trace)]))
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert gone([])
    assert not trace.exists()


async def test_an_attempt_that_is_abandoned_ends_its_processes_all_the_same(execute, python, mailbox):
    patient = Options(grace=0.5)
    attempt = asyncio.create_task(execute(patient, command=[*python(FAMILY + "deaf()\n" + ALL), str(mailbox.path)]))
    pids = await mailbox.numbers()
    attempt.cancel()
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not gone(pids)
    await until_gone(pids)
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    assert gone(pids)


def apflow_running(command: list[str], grace: float = 0.2) -> subprocess.Popen[bytes]:
    program = f"""
import asyncio
from apflow_hookspecs import Task, TaskContext
from apflow_stdio.command import CommandExecutor
from apflow_stdio.options import Options
task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="command_executor")
asyncio.run(CommandExecutor(Options(grace={grace})).execute({{"command": {command!r}}}, TaskContext(task=task)))
"""
    return subprocess.Popen([sys.executable, "-c", program])


async def test_when_apflow_is_killed_every_process_ends(python, mailbox):
    with apflow_running([*python(FAMILY + "deaf()\n" + ALL), str(mailbox.path)]) as apflow:
        pids = await mailbox.numbers()
        assert len(pids) == 6
        apflow.kill()
    await until_gone(pids)


async def test_when_apflow_is_killed_there_is_no_grace_for_the_task_may_run_again_at_once(python, mailbox):
    with apflow_running([*python(FAMILY + "deaf(); hang()"), str(mailbox.path)], grace=3600) as apflow:
        pids = await mailbox.numbers()
        apflow.kill()
    await until_gone(pids)


async def test_when_apflow_and_the_supervisor_are_killed_the_program_ends(python, mailbox):
    with apflow_running([*python(FAMILY + "deaf(); hang()"), str(mailbox.path)]) as apflow:
        pids = await mailbox.numbers()
        [supervisor] = psutil.Process(apflow.pid).children()
        apflow.send_signal(signal.SIGSTOP)
        supervisor.kill()
        apflow.kill()
    await until_gone(pids)


async def test_when_the_supervisor_is_killed_the_task_fails_and_its_group_ends(execute, python, mailbox):
    attempt = asyncio.create_task(execute(command=[*python(FAMILY + "deaf(); fork(hang); hang()"), str(mailbox.path)]))
    pids = await mailbox.numbers()
    [supervisor] = psutil.Process().children()
    supervisor.kill()
    with pytest.raises(TaskFailed, match="its supervising process was killed"):
        await attempt
    await until_gone(pids)


async def test_a_terminating_signal_to_the_supervisor_leaves_the_command_to_apflow(execute, python):
    program = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); print('done')"
    assert (await execute(command=python(program)))["stdout"] == "done"


async def test_commands_run_side_by_side_and_leave_no_descriptor_open(execute):
    before = open_descriptors()
    results = await asyncio.gather(*(execute(command=["echo", number]) for number in range(20)))
    assert [result["stdout"] for result in results] == [str(number) for number in range(20)]
    assert open_descriptors() == before


async def test_commands_run_on_a_loop_of_any_thread(execute):
    result = await asyncio.to_thread(lambda: asyncio.run(_within(execute)))
    assert result["stdout"] == "here"


async def _within(execute):
    return await execute(command="echo here")


async def test_processor_time_is_limited(execute, python):
    with pytest.raises(TaskFailed, match="was ended by SIGXCPU"):
        await execute(Options(cpu_time=1), command=python("while True: pass"))


async def test_memory_is_limited(execute, python):
    with pytest.raises(TaskFailed, match="MemoryError"):
        await execute(Options(memory=200 * MIB), command=python("b'x' * (1 << 30)"))


async def test_the_number_of_processes_is_limited_and_cores_are_never_dumped(execute, python):
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_CORE))"
    assert (await execute(Options(processes=77), command=python(program)))["stdout"] == "(77, 77) (0, 0)"
