"""Trees as the engine answers them, and the program with a plugin that does what the trees of these tests need."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from programs import Program, install
from samples import boom, echo, group, noop, task

from apflow.testing import engine_of
from apflow_graph.model import graph_of
from apflow_hookspecs import Caller

WORKERS = """
import json
import os
from apflow_hookspecs import Caller, executor, hookimpl


@executor("download")
async def download(table: str) -> dict:
    return {"rows": [table]}


@executor("check")
async def check(rows: list) -> None:
    raise ValueError("1 row is too few")


@executor("report")
async def report() -> str:
    return "sold out"


@executor("send")
async def send(text: str) -> None:
    pass


@hookimpl
def apflow_executors():
    yield from (download, check, report, send)


@hookimpl
async def apflow_startup(engine):
    # The storage is in memory: what a test wants stored, and run, is put there at each start.
    if "TREE_TO_RUN" in os.environ:
        with open(os.environ["TREE_TO_RUN"], encoding="utf-8") as file:
            await engine.call("tasks.execute", {"tasks": json.load(file), "wait": 60}, Caller.local())
"""

DIAMOND = [
    group("root"),
    task("a", "echo"),
    task("b", "echo", dependencies=["a"]),
    task("c", "echo", dependencies=["a"]),
    task("d", "echo", dependencies=["b", "c"]),
]
GROUPS = [
    group("root"),
    group("load", parent_id="root"),
    task("x", "echo", "load"),
    task("y", "echo", "load", dependencies=["x"]),
    task("z", "echo", dependencies=["load"]),
]
WORKING_ROOT = [
    task("root", "echo", dependencies=["leaf", "twig"]),
    task("leaf", "echo"),
    task("twig", "echo", dependencies=["leaf"]),
]
OPTIONAL_AND_FROM = [
    group("root"),
    task("a", "echo"),
    task("b", "echo", dependencies=[{"id": "a", "required": False}]),
    task("c", "echo", value=[{"deep": {"$from": "a", "path": "/x/0"}}, {"$from": "b"}]),
]
TREES = {"diamond": DIAMOND, "groups": GROUPS, "working_root": WORKING_ROOT, "optional_and_from": OPTIONAL_AND_FROM}


@pytest.fixture
async def validated():
    """What the engine says about an array of tasks: its plan, and its tree as it would be stored."""
    async with engine_of(echo, boom, noop) as engine:

        async def validate(tasks):
            """Takes the tasks, or the name of one of `TREES`."""
            tasks = TREES[tasks] if isinstance(tasks, str) else tasks
            answer = await engine.call("tasks.validate", {"tasks": tasks, "tree": True}, Caller.local())
            assert answer["problems"] == []
            return answer

        yield validate


@pytest.fixture
def graph(validated):
    """The graph of an array of tasks, or of the part under one of them."""

    async def make(tasks, top=None):
        return graph_of((await validated(tasks))["tree"]["tasks"], top)

    return make


@pytest.fixture(scope="session")
def workers(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    install(folder, "workers", workers=WORKERS)
    return folder


@pytest.fixture
def apflow(tmp_path, workers) -> Program:
    return Program(tmp_path, workers)


@pytest.fixture
def draw(apflow):
    """`apflow graph`, with a storage in memory, so that this plugin can be tested with the host and nothing else."""
    return partial(apflow, "graph", APFLOW_DB="memory:")
