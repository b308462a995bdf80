"""Several terminals on one storage: real processes, and a plugin whose tasks end when a test says so."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from programs import DEADLINE, Program, Running, install

LABOUR = """
import asyncio
import os
import time

from apflow_hookspecs import TaskContext, Wait, executor, hookimpl

PAUSE = 0.02


def note(journal: str, what: str, key: str) -> None:
    with open(journal, "a") as file:
        file.write(f"{what} {key}\\n")


@executor("hold")
async def hold(context: TaskContext, journal: str, release: str) -> str:
    note(journal, "start", context.task.key)
    while not os.path.exists(release):
        await asyncio.sleep(PAUSE)
    note(journal, "end", context.task.key)
    return "held"


@executor("deaf")
async def deaf(context: TaskContext, journal: str, release: str) -> str:
    note(journal, "start", context.task.key)
    while not os.path.exists(release):
        try:
            await asyncio.sleep(PAUSE)
        except asyncio.CancelledError:
            pass
    note(journal, "end", context.task.key)
    return "held"


def blocking(key: str, journal: str, release: str) -> str:
    note(journal, "start", key)
    while not os.path.exists(release):
        time.sleep(PAUSE)
    note(journal, "end", key)
    return "held"


@executor("thread")
def thread(context: TaskContext, journal: str, release: str) -> str:
    return blocking(context.task.key, journal, release)


@executor("pool")
async def pool(context: TaskContext, journal: str, release: str) -> str:
    return await asyncio.to_thread(blocking, context.task.key, journal, release)


@executor("note")
async def noted(context: TaskContext, journal: str) -> None:
    note(journal, "start", context.task.key)
    note(journal, "end", context.task.key)


@executor("nap")
async def nap(context: TaskContext, journal: str, release: str) -> Wait | None:
    if os.path.exists(release):
        return None
    note(journal, "start", context.task.key)
    return Wait.until(4 * 10**15)


@hookimpl
def apflow_executors():
    yield from (hold, deaf, thread, pool, noted, nap)
"""


@attrs.frozen
class Terminals:
    """Programs on one storage, and the tasks that they run."""

    program: Program
    folder: Path
    _stack: ExitStack

    def __call__(self, *arguments: str, **options: Any) -> Any:
        return self.program(*arguments, **options)

    def open(self, *arguments: str) -> Running:
        """Start a program in a terminal of its own."""
        process = self.program.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return self._stack.enter_context(closing(Running(process)))

    def configure(self, text: str) -> None:
        (self.folder / "apflow.toml").write_text(text)

    def file(self, tasks: list[dict[str, Any]], name: str = "tasks.json") -> str:
        return self.program.file(tasks, name)

    def task(self, key: str, executor: str = "hold", **fields: Any) -> dict[str, Any]:
        """A task that goes on until `release` is called for its key; a `note` ends at once."""
        inputs = {"journal": str(self.folder / "journal")}
        if executor != "note":
            inputs["release"] = str(self.folder / f"release-{key}")
        return {"id": key, "executor": executor, "inputs": inputs, **fields}

    def command(self, key: str, **fields: Any) -> dict[str, Any]:
        """The same as a command: it has a child, and both write their process ids into `pids`."""
        script = (
            'echo "start $1" >> "$2"; sh -c \'echo $$ >> "$0"; exec sleep 1000\' "$4" & echo $$ >> "$4"; '
            'while [ ! -e "$3" ]; do sleep 0.05; done; kill $!; echo "end $1" >> "$2"'
        )
        names = (self.folder / "journal", self.folder / f"release-{key}", self.folder / "pids")
        argv = ["/bin/sh", "-c", script, "sh", key, *map(str, names)]
        return {"id": key, "executor": "command_executor", "inputs": {"command": argv}, **fields}

    def tree(self, root: str, *tasks: dict[str, Any]) -> str:
        """A file with these tasks under one root, named for it."""
        return self.file([{"id": root}, *({"parent_id": root, **task} for task in tasks)], f"{root}.json")

    def release(self, *keys: str) -> None:
        for key in keys:
            (self.folder / f"release-{key}").touch()

    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self) -> list[int]:
        path = self.folder / "pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Look until something is so."""
        until = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < until, f"in vain: {what}"
            time.sleep(0.02)

    def started(self, *keys: str) -> None:
        """Wait until these tasks run."""
        self.wait(lambda: {f"start {key}" for key in keys} <= set(self.journal()), f"that {keys} start")


@pytest.fixture(scope="session")
def labour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the plugin is installed."""
    folder = tmp_path_factory.mktemp("labour")
    install(folder, "labour", labour=LABOUR)
    return folder


@pytest.fixture
def terminals(tmp_path: Path, labour: Path) -> Iterator[Terminals]:
    with ExitStack() as stack:
        yield Terminals(Program(tmp_path, labour), tmp_path, stack)
