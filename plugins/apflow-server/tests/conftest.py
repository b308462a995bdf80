"""The server as a program, with a storage and plugins of its own."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, closing

import httpx
import pytest
from programs import Program, Running, install

EXECUTORS = """
import asyncio, os
from apflow_hookspecs import Caller, executor, hookimpl


@executor("echo")
async def echo(value=None):
    return value


@executor("held")
async def held(gate: str):
    while not os.path.exists(gate):
        await asyncio.sleep(0.02)


@hookimpl
def apflow_executors():
    yield from (echo, held)
"""
DOOR = """
from apflow_hookspecs import Caller, hookimpl


@hookimpl(optionalhook=True)
def apflow_credentials():
    return ["a word"]


@hookimpl(optionalhook=True)
def apflow_authenticate(request):
    return Caller("ada", frozenset({"read"})) if request.headers.get("x-word") == "please" else None
"""


class Service:
    """`apflow serve` as a process, once it says where."""

    def __init__(self, process):
        self.running = Running(process)
        self.line = self.running.until("serving on")
        self.http = httpx.Client(base_url=self.line.split()[2].rstrip(";"), trust_env=False, timeout=60)

    def close(self):
        self.http.close()
        self.running.close()


@pytest.fixture
def apflow(tmp_path):
    """`apflow` in an empty folder, with a plugin of executors."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install(plugins, "probe", probe=EXECUTORS)
    return Program(tmp_path, plugins)


@pytest.fixture
def door(apflow):
    """A plugin that asks for a credential."""
    install(apflow.plugins, "door", door=DOOR)


@pytest.fixture
def serve(apflow):
    """Starts the server on a free port: `serve("--demo", APFLOW_SERVER__MAX_BATCH="3")`."""
    with ExitStack() as stack:

        def start(*arguments, **environment):
            options = {"environment": {**apflow.environment, "APFLOW_BLOCK": "", **environment}}
            command = ("serve", "--port", "0", *arguments)
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            return stack.enter_context(closing(Service(apflow.start(*command, **options, **pipes))))

        yield start
