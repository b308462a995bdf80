"""What survives the death of a process: an executor that writes down what really ran, and notes of what was acknowledged.

Each line is one `write` to a file opened for appending, followed by `fsync`; the order of the lines is that of the writes, also
over several processes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec.json
from attrs import frozen

from apflow_hookspecs import EMPTY, Json, TaskContext, TaskFailed

Mark = Literal["start", "end", "failure"]
Note = Literal["created", "requested", "cancelled"]
T = TypeVar("T")


@frozen(kw_only=True)
class Entry:
    """One thing that an executor did.

    Args:
        at: Instant.
        result: What it returned, of an end.
        saw: What the results of its dependencies were, by key, of a start.
    """

    at: int
    mark: Mark
    pid: int
    task_id: str
    key: str
    run: int
    attempt: int
    result: Json = None
    saw: Mapping[str, Json] = EMPTY


@frozen(kw_only=True)
class Acknowledged:
    """One thing that the engine answered for.

    Args:
        at: Instant at which the answer had come.
        note: A tree was created, its execution was requested, or a task and what is under it was cancelled.
        task_id: Of the tree, or of the task that was cancelled.
        tasks: How many tasks the tree has.
    """

    at: int
    note: Note
    tree_id: str
    task_id: str
    tasks: int


class Lines(Generic[T]):
    """Values of one attrs class in a file, a line of JSON each.

    Args:
        path: The file; it is made when there is something to write.
        cls: The class.
        durable: Whether a line is on disk, and not only with the operating system, once it is written.
    """

    def __init__(self, path: Path, cls: type[T], *, durable: bool = True) -> None:
        self.path = path
        self._cls = cls
        self._durable = durable

    def append(self, value: T) -> None:
        """Write one line; it outlives this process once this returns."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, msgspec.json.encode(value, enc_hook=dict) + b"\n")
            if self._durable:
                os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> list[T]:
        """All lines, in the order in which they were written."""
        if not self.path.exists():
            return []
        return [msgspec.json.decode(line, type=self._cls) for line in self.path.read_bytes().splitlines()]


class JournalingExecutor:
    """Writes down that it starts, works as long as it is told, and writes down how it ends.

    Its inputs: `seconds` to take, `failures` as the number of attempts that fail, `exit` to end the process instead of the
    attempt. What dependencies put beside these does not matter. No two results are the same.
    """

    id = "journaling_executor"
    summary = "Write down what ran"

    def __init__(self, lines: Lines[Entry]) -> None:
        self._lines = lines
        self._name = secrets.token_hex(4)
        self._made = 0

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> Json:
        """Do as the inputs say.

        Raises:
            TaskFailed: As the inputs say.
        """
        self._write("start", context, saw=dict(context.results))
        if inputs.get("exit"):
            os._exit(1)
        await asyncio.sleep(inputs.get("seconds", 0))
        if context.attempt <= inputs.get("failures", 0):
            self._write("failure", context)
            raise TaskFailed(f"attempt {context.attempt} fails, as it was told")
        self._made += 1
        result = f"{context.task.key} by {self._name}-{self._made}"
        self._write("end", context, result=result)
        return result

    def _write(self, mark: Mark, context: TaskContext, **more: Any) -> None:
        task = context.task
        self._lines.append(
            Entry(
                at=instant(), mark=mark, pid=os.getpid(),
                task_id=task.id, key=task.key, run=task.run, attempt=context.attempt, **more,
            )
        )  # fmt: skip


def instant() -> int:
    """The present."""
    return time.time_ns() // 1000
