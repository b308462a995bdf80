"""One measurement: a system runs a workload in a process of its own, and what it did is checked."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from benchmarks import workloads
from benchmarks.systems import SYSTEMS, Durability, Job, System, Trace
from benchmarks.workloads import Workload

SHAPES = {"W1": workloads.chain, "W2": workloads.fan_out, "W3": workloads.layers, "W4": workloads.scale}
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@frozen
class Measurement:
    """What a run cost.

    Args:
        tasks: How many there were.
        seconds: From the creation of the tree to its end.
        cpu: Seconds of processor time meanwhile, of all threads: what other programs on the machine disturb least.
        memory: The most that the process held until then, in bytes, the interpreter and the libraries included.
        file: Size of the files when the system had closed them, in bytes; 0 in memory.
    """

    tasks: int
    seconds: float
    cpu: float
    memory: int
    file: int


@frozen
class Case:
    """What is measured, for each system.

    Args:
        workload: W1 to W4.
        tasks: How many, of W4.
        durability: What a stored result survives.
        slots: Tasks that may run at once.
        folder: On whose disk the files are made; None is where the machine keeps temporary files.
    """

    workload: str
    tasks: int
    durability: Durability
    slots: int
    folder: str | None = None

    @property
    def tree(self) -> Workload:
        """The workload itself."""
        return workloads.scale(self.tasks) if self.workload == "W4" else SHAPES[self.workload]()


class Wrong(AssertionError):
    """A system did not do what it was measured for."""


class Stopwatch:
    """The clock that a system is handed."""

    seconds = cpu = 0.0
    memory = 0

    def __enter__(self) -> None:
        self._cpu = time.process_time()
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.cpu = time.process_time() - self._cpu
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def apart(system: str, case: Case) -> Measurement:
    """Measure in a new process, so that no run inherits another's memory, caches or garbage.

    Raises:
        Wrong: A check failed; the message is what the process said.
    """
    asked = json.dumps(asdict(case))
    command = [sys.executable, "-m", "benchmarks.measure", system, asked]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - this module
    if done.returncode:
        raise Wrong(f"{system} {asked}: {done.stderr}")
    return Measurement(**json.loads(done.stdout))


def measured(system: System, case: Case) -> Measurement:
    """Measure here: a small tree first, which loads and compiles what a first run needs, then the workload."""
    _run(system, case, workloads.chain(20))
    return _run(system, case, case.tree)


def _run(system: System, case: Case, workload: Workload) -> Measurement:
    clock = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="apflow-benchmark-", dir=case.folder) as name:
        folder = Path(name)
        trace = asyncio.run(system(Job(workload, case.durability, folder, case.slots), clock))
        size = sum(file.stat().st_size for file in folder.iterdir())
    check(workload, trace)
    return Measurement(len(workload), clock.seconds, clock.cpu, clock.memory, size)


def check(workload: Workload, trace: Trace) -> None:
    """Every task ran once, after its dependencies, and is stored completed with its result.

    Raises:
        Wrong: That is not so.
    """
    if sorted(trace.ran) != list(range(len(workload))):
        raise Wrong(f"{len(workload)} tasks, {len(trace.ran)} calls, {len(set(trace.ran))} tasks called")
    place = {n: place for place, n in enumerate(trace.ran)}
    early = [n for n, needed in enumerate(workload.needs) if any(place[other] > place[n] for other in needed)]
    if early:
        raise Wrong(f"task {early[0]} and {len(early) - 1} others ran before what they depend on")
    _check_stored(workload, trace.stored)


def _check_stored(workload: Workload, stored: Iterable[tuple[int, str, Any]]) -> None:
    kept = set()
    for n, status, result in stored:
        if status != "completed" or result != n:
            raise Wrong(f"task {n} is stored as {status} with the result {result!r}")
        kept.add(n)
    if len(kept) != len(workload):
        raise Wrong(f"{len(workload)} tasks, of which {len(kept)} are stored")


if __name__ == "__main__":
    print(json.dumps(asdict(measured(SYSTEMS[sys.argv[1]], Case(**json.loads(sys.argv[2]))))))
