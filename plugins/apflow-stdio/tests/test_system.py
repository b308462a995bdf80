"""Facts about the machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil

import psutil
import pytest

from apflow_hookspecs import TaskContext, TaskFailed, TaskTree
from apflow_stdio import apflow_validate_task
from apflow_stdio.system import system_info


@pytest.fixture
def ask(make_task):
    def ask(origin="local", **inputs):
        return system_info.execute(inputs, TaskContext(task=make_task("system_info_executor"), origin=origin))

    return ask


async def test_the_processor_is_told_about(ask):
    cpu = await ask(resource="cpu")
    assert cpu["threads"] == os.cpu_count()
    assert 1 <= cpu["cores"] <= cpu["threads"]
    assert 0 <= cpu["percent"] <= 100
    assert len(cpu["load"]) == 3
    assert cpu["brand"]
    assert cpu["system"] == os.uname().sysname


async def test_memory_is_told_about_in_bytes_and_in_words(ask):
    memory = await ask(resource="memory")
    assert memory["total_bytes"] == psutil.virtual_memory().total
    assert 0 < memory["available_bytes"] <= memory["total_bytes"]
    assert 0 < memory["used_bytes"] <= memory["total_bytes"]
    assert 0 < memory["percent"] <= 100
    assert memory["total_gb"] == pytest.approx(memory["total_bytes"] / 2**30, abs=0.01)
    assert memory["total"][-1] in "MGT"


async def test_the_disk_of_a_path_is_told_about(ask, tmp_path):
    disk = await ask(resource="disk", path=str(tmp_path))
    assert disk["path"] == str(tmp_path)
    assert disk["total_bytes"] == shutil.disk_usage(tmp_path).total
    assert disk["used_percent"] == f"{disk['percent']:.0f}%"
    assert {"total", "used", "available"} <= disk.keys()


async def test_by_default_everything_is_told_by_name(ask):
    everything = await ask()
    assert list(everything) == ["cpu", "memory", "disk"]
    assert everything["disk"]["path"] == "/"
    assert json.loads(json.dumps(everything, allow_nan=False)) == everything


async def test_the_loop_goes_on_meanwhile(ask):
    turns = 0
    asked = asyncio.ensure_future(ask(resource="cpu"))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


async def test_a_resource_that_is_not_there_is_refused_by_name(ask):
    with pytest.raises(TaskFailed, match=r"inputs.resource = 'gpu': must be one of cpu, memory, disk, all") as failure:
        await ask(resource="gpu")
    assert failure.value.error == "bad_input"


async def test_a_path_that_is_not_there_is_named(ask):
    with pytest.raises(TaskFailed, match="the disk of '/no/such' cannot be asked: No such file"):
        await ask(resource="disk", path="/no/such")


async def test_what_takes_too_long_ends_with_its_time(ask):
    with pytest.raises(TaskFailed, match=r"did not answer within 0\.001 s") as failure:
        await ask(resource="cpu", timeout=0.001)
    assert failure.value.error == "timeout"


async def test_from_outside_only_the_root_may_be_asked_for(ask, make_task):
    task = make_task("system_info_executor", inputs={"resource": "disk", "path": "/home"})
    for origin, refused in (("remote", 1), ("local", 0)):
        tree = TaskTree(id="t", tasks={"t": task}, origin=origin)
        assert len(list(apflow_validate_task(task=task, executor=system_info, tree=tree))) == refused
    with pytest.raises(TaskFailed, match="may only be / for callers from outside"):
        await ask("remote", resource="disk", path="/home")
    assert (await ask("remote", resource="disk", path="/"))["path"] == "/"
