"""The program as a user meets it: as another process, with a storage and a plugin of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

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


def install(folder: Path, name: str, **modules: str) -> None:
    """Make a folder one in which the plugin `name` is installed, with its modules."""
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    metadata = folder / f"apflow_{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: apflow-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[apflow]\n{name} = {next(iter(modules))}\n")


@attrs.frozen
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@attrs.frozen
class Program:
    """`apflow` in a folder, with the plugins of `plugins` and without the settings of whoever runs the tests."""

    folder: Path
    plugins: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("APFLOW_", "XDG_", "NO_COLOR"))}
        return {
            **ours,
            "APFLOW_BLOCK": "aggregate",
            "APFLOW_DB": str(self.folder / "flow.db"),
            "PYTHONPATH": str(self.plugins),
            "TZ": "UTC",
        }

    def __call__(self, *arguments: str | Path, stdin: str | bytes = "", **environment: str) -> Finished:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**self.environment, **environment},
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "apflow", *map(str, arguments)]

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        environment = options.pop("environment", self.environment)
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, env=environment, **options)

    def file(self, tasks: Any, name: str = "tasks.json") -> str:
        (self.folder / name).write_text(json.dumps(tasks))
        return name


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
