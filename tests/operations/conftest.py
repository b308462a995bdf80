import asyncio

import msgspec
import pytest
from attrs import define

from apflow import memory
from apflow.config import Settings
from apflow.engine import open_engine
from apflow.host import Host
from apflow.operations import CATALOGUE
from apflow.validators import Validators
from apflow_hookspecs import Caller, TaskFailed, executor, hookimpl

USER = frozenset({"read", "submit", "cancel"})
ADA = Caller("ada", USER)
BOB = Caller("bob", USER)
ADMIN = Caller("root", frozenset({"admin"}))
LOCAL = Caller.local()


class Doors:
    """A plugin whose executor `wait` runs until its door is opened."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    @hookimpl
    def apflow_executors(self):
        @executor("echo", summary="Give back what is given")
        async def echo(value: str = "") -> dict[str, str]:
            return {"value": value}

        @executor("fail")
        async def fail() -> None:
            raise TaskFailed("it was asked to", error="failed")

        @executor("wait")
        async def wait() -> str:
            self.entered.set()
            await self.opened.wait()
            return "opened"

        yield from (echo, fail, wait)


@define
class Front:
    """An engine as a front end sees it; each result is held against the type that its operation declares."""

    engine: object
    doors: Doors

    async def __call__(self, name, params=(), caller=LOCAL):
        result = await self.engine.call(name, params, caller)
        assert msgspec.convert(result, CATALOGUE[name].result) == result
        assert msgspec.json.decode(msgspec.json.encode(result)) == result
        return result


@pytest.fixture
def settings():
    return {}


@pytest.fixture
async def call(settings):
    doors = Doors()
    host = Host({"memory": memory, "validators": Validators(), "doors": doors})
    async with open_engine(host=host, settings=Settings(db="memory:", **settings)) as engine:
        yield Front(engine, doors)


@pytest.fixture
async def stored(call):
    """A tree of ada's, which nobody asked to run."""
    return await call("tasks.create", PAIR, ADA)


PAIR = [
    {"id": "root", "executor": "echo", "dependencies": ["leaf"], "inputs": {"value": "root"}},
    {"id": "leaf", "executor": "echo", "parent_id": "root"},
]
WAITING = [{"id": "root"}, {"id": "leaf", "executor": "wait", "parent_id": "root"}]
