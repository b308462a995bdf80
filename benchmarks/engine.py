"""apflow as a system: an executor of a plugin, a host, and an engine on a new storage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing

import apflow.memory
import apflow_sqlite
from apflow import open_engine
from apflow.host import Host
from apflow.validators import Validators
from apflow_hookspecs import ExecutableTask, executor, hookimpl
from benchmarks.systems import Clock, Job, Trace


class Marking:
    """A plugin whose executor takes down that a task ran."""

    def __init__(self) -> None:
        self.ran: list[int] = []

    @hookimpl
    def apflow_executors(self) -> Iterable[ExecutableTask]:
        """Provide `mark`."""
        ran = self.ran

        @executor("mark")
        async def mark(n: int) -> int:
            ran.append(n)
            return n

        yield mark


async def measured(job: Job, clock: Clock) -> Trace:
    """Create the tree, run it, and read it back: from the file itself, where there is one."""
    marking, array = Marking(), job.workload.array()
    file = job.folder / "apflow.db"
    url = "memory:" if job.durability == "memory" else f"sqlite:///{file}"
    durability = "process" if job.durability == "memory" else job.durability
    host = Host({"marking": marking, "memory": apflow.memory, "sqlite": apflow_sqlite, "validators": Validators()})
    async with open_engine(url, host=host, durability=durability, max_concurrency=job.slots) as engine:
        with clock:
            tree = await engine.creator.create_task_tree_from_array(array)
            await engine.manager.distribute_task_tree(tree)
        if job.durability == "memory":
            stored = await engine.storage.tree(tree.id)
            assert stored is not None
            return Trace(marking.ran, [(task.n, str(task.status), task.result) for task in stored])
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT n, status, CAST(result AS INTEGER) FROM tree_tasks").fetchall()
    return Trace(marking.ran, rows)
