"""The program as a user meets it: as another process, with a storage and a plugin of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import Program, install

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
