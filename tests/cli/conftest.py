"""The program as a user meets it: as another process, with a storage and a plugin of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from programs import DEADLINE, Program, Running, install

PROBE = """
from apflow_hookspecs import Command, TaskContext, TaskFailed, executor, hookimpl


@executor("echo", summary="Give back what it gets")
async def echo(value: str = "", count: int = 1) -> list[str]:
    return [value] * count


@executor("fail")
async def fail(message: str) -> None:
    raise TaskFailed(message)


@executor("steps")
async def steps(context: TaskContext) -> None:
    context.report(0.5, "half\\nway")


@executor("hang")
async def hang(started: str) -> None:
    import asyncio

    open(started, "w").close()
    await asyncio.Event().wait()


@hookimpl
def apflow_executors():
    yield from (echo, fail, steps, hang)


@hookimpl
def apflow_commands():
    yield Command("probe", "Say what the engine has.", "probe_command:probe")
"""
PROBE_COMMAND = """
import click


@click.command()
@click.pass_obj
def probe(session):
    click.echo(session.run(has))


async def has(engine):
    return "echo" in engine.executors
"""


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a plugin is installed that does what tests need."""
    folder = tmp_path_factory.mktemp("probe")
    install(folder, "probe", probe=PROBE, probe_command=PROBE_COMMAND)
    return folder


@pytest.fixture
def apflow(tmp_path: Path, probe: Path) -> Program:
    return Program(tmp_path, probe)


@pytest.fixture
def apflow_with(tmp_path: Path, probe: Path) -> Callable[..., Program]:
    """`apflow` with one more plugin: `apflow_with("broken", broken="1 / 0")`."""

    def make(name: str, **modules: str) -> Program:
        folder = tmp_path / "plugins"
        folder.mkdir(exist_ok=True)
        install(folder, name, **modules)
        return Program(tmp_path, Path(f"{folder}{os.pathsep}{probe}"))

    return make


class Terminal:
    """A program on a terminal of 80 by 24."""

    def __init__(self, program, *arguments, **environment):
        self._screen, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        settings = {**program.environment, "TERM": "xterm-256color", **environment}
        self.process = program.start(*arguments, environment=settings, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def until(self, text, times=1):
        while self.shown.count(text) < times:
            self._read()

    def type(self, keys):
        os.write(self._screen, keys.encode())

    def rest(self):
        try:
            while self._read():
                pass
        except OSError:  # how Linux says that nobody has the other end open any more
            pass
        self.process.wait(timeout=60)
        return self.shown

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def _read(self):
        data = os.read(self._screen, 65536)
        self.shown += data.decode()
        return data


@pytest.fixture
def on_terminal(apflow):
    """Starts the program on a terminal: `on_terminal("run", file, TERM="dumb")`."""
    with ExitStack() as stack:
        yield lambda *arguments, **environment: stack.enter_context(closing(Terminal(apflow, *arguments, **environment)))


@pytest.fixture
def in_background(apflow):
    """Starts the program without a terminal, and reads what it says: `in_background("run", file)`."""
    with ExitStack() as stack:

        def start(*arguments):
            process = apflow.start(*arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            return stack.enter_context(closing(Running(process)))

        yield start


@pytest.fixture
def seen():
    """Looks until something is so."""

    def wait(condition):
        until = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.02)

    return wait
