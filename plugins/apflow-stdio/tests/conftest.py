"""Real commands, driven as the host drives the executor."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from apflow_hookspecs import Task, TaskContext
from apflow_stdio.command import CommandExecutor
from apflow_stdio.options import Options

Execute = Callable[..., Awaitable[Any]]


@pytest.fixture
def make_task() -> Callable[..., Task]:
    def make(executor: str = "command_executor", **fields: Any) -> Task:
        return Task(**{"n": 0, "id": "t", "key": "t", "name": "t", "tree_id": "t", "executor": executor, **fields})

    return make


@pytest.fixture
def execute(make_task) -> Execute:
    """Run one attempt: `await execute(command=[…], timeout=1)`, with the operator's options and the tree's origin."""

    def run(options: Options | None = None, origin: str = "local", **inputs: Any) -> Awaitable[Any]:
        return CommandExecutor(options).execute(inputs, TaskContext(task=make_task(), origin=origin))

    return run


@pytest.fixture
def python() -> Callable[[str], list[str]]:
    """A Python program as a command."""
    return lambda program: [sys.executable, "-I", "-c", program]


@pytest.fixture
def brisk() -> Options:
    """Options under which processes that do not listen are killed soon."""
    return Options(grace=0.2)


class Mailbox:
    """A FIFO through which processes tell; reading waits until all that wrote have closed it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    async def numbers(self) -> list[int]:
        pipe = os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return [int(word) for word in (await reader.read()).split()]


@pytest.fixture
def mailbox(tmp_path) -> Mailbox:
    return Mailbox(tmp_path / "mailbox")
