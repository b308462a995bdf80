"""What is measured. A system is one callable; another one is another function here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import frozen

from benchmarks.workloads import Workload

Durability = Literal["full", "process", "memory"]
"""What a stored result survives: loss of power, the end of the process, or neither: then nothing is written to a file."""


@frozen
class Job:
    """What a system has to do.

    Args:
        workload: The tree.
        durability: A task may only start when the results that it depends on are stored like this.
        folder: An empty one, for its files. How big they are is looked up when it has returned.
        slots: Tasks that may run at once.
    """

    workload: Workload
    durability: Durability
    folder: Path
    slots: int


class Clock(Protocol):
    """Measures what is inside `with clock:`, from the creation of the tree to its end, once."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...


@frozen
class Trace:
    """What became of a tree.

    Args:
        ran: Numbers of the tasks, in the order in which they were called.
        stored: (number, status, result) of each task, as the storage has it afterwards.
    """

    ran: list[int]
    stored: Iterable[tuple[int, str, Any]]


System = Callable[[Job, Clock], Coroutine[Any, Any, Trace]]


async def apflow(job: Job, clock: Clock) -> Trace:
    """This engine."""
    from benchmarks import engine  # noqa: PLC0415 - a process that measures another system does not load this one

    return await engine.measured(job, clock)


async def limit(job: Job, clock: Clock) -> Trace:
    """The bare loop."""
    from benchmarks import limit  # noqa: PLC0415 - as above

    return await limit.measured(job, clock)


LIMIT = "limit"
SYSTEMS: Mapping[str, System] = {LIMIT: limit, "apflow": apflow}
"""In the order in which they take turns."""
