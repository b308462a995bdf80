"""Engines that know secrets, and short ways to ask them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from apflow.testing import engine_of
from apflow_hookspecs import Caller, Task, TaskContext, TaskFailed, executor
from apflow_secrets import Secrets

CANARY = "canary-7Qx/9+Zr"
REMOTE = Caller("eve", frozenset({"read", "submit"}), "remote")


@executor("take")
async def take(value: Any = None, url: Any = None, base_url: Any = None, server: Any = None, host: Any = None) -> str:
    return "taken"


@executor("other")
async def other(value: Any = None) -> str:
    return "taken"


def secret(name="token"):
    """A reference to a secret."""
    return {"$secret": name}


@asynccontextmanager
async def knowing(known, *executors, **options):
    """An engine whose operator says that of secrets, by name, and its plugin."""
    plugin = Secrets()
    sections = {"secrets": {"known": known}}
    async with engine_of(take, other, *executors, plugins={"secrets": plugin}, sections=sections, **options) as engine:
        yield engine, plugin


@define
class Asking:
    """Asks for the secret `token`, of which the operator says `options`, and others in `beside`."""

    options: dict[str, Any] = field(factory=dict)
    beside: dict[str, Any] = field(factory=dict)

    @property
    def known(self):
        return {"token": {"executors": ["take"], **self.options}, **self.beside}

    async def value(self, name="token", *, origin="local", executor="take", inputs=(), resolved=()):
        """What an attempt is given; `inputs` are the author's, `resolved` what became of them."""
        written = {"value": secret(name), **dict(inputs)}
        task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor=executor, inputs=written)
        context = TaskContext(task=task, inputs={**written, **dict(resolved)}, origin=origin)
        async with knowing(self.known) as (_, plugin):
            return await plugin.apflow_resolve_secret(name, task, context)

    async def refusal(self, name="token", **attempt):
        """Why an attempt is not given it."""
        with pytest.raises(TaskFailed) as refused:
            await self.value(name, **attempt)
        assert refused.value.error == "denied"
        assert refused.value.__context__ is None
        return refused.value.message

    async def problems(self, *, caller=None, params=None, executor="take", **inputs):
        """What is wrong with a task when it is created."""
        task = {"id": "t", "executor": executor, "inputs": inputs, "params": params or {}}
        async with knowing(self.known) as (engine, _):
            report = await engine.call("tasks.validate", {"tasks": [task]}, caller or Caller.local())
        return report["problems"]


@pytest.fixture
def asking(monkeypatch):
    """Asks for a secret in a variable, unless the operator says something else."""
    monkeypatch.setenv("API_TOKEN", CANARY)

    def ask(beside=None, **options) -> Asking:
        source = {} if {"env", "file", "keyring"} & options.keys() else {"env": "API_TOKEN"}
        return Asking({**source, **options}, beside or {})

    return ask


@pytest.fixture
def kept(tmp_path):
    """Write the secret into a file that nobody else can read."""

    def keep(content=CANARY, mode=0o600, name="token") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    return keep
