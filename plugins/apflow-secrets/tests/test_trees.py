"""Trees that name secrets, run by a whole engine."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from urllib.parse import quote

import pytest
from attrs import define, field
from samples import group, task

import apflow_sqlite
import apflow_stdio
from apflow.testing import engine_of
from apflow_hookspecs import Caller, Retry, TaskContext, executor
from apflow_hookspecs.errors import PermissionDenied
from apflow_secrets import Secrets

from .conftest import CANARY, REMOTE, secret


@define(eq=False)
class Taken:
    """The executor `taker`, which notes what it got, and fails so many attempts after calling `between`."""

    got: list[str] = field(factory=list)
    failing: int = 0
    between: object = None

    @property
    def executor(self):
        @executor("taker")
        async def taker(token: str, context: TaskContext, url: str = ""):
            self.got.append(token)
            if context.attempt <= self.failing:
                self.between()
                raise Retry
            return {"token": token}

        return taker


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/flow.db"


@pytest.fixture
def engine(url):
    """Open an engine whose operator says that of `token`."""

    def opened(*executors, **options):
        plugins = {"secrets": Secrets(), "stdio": apflow_stdio, "sqlite": apflow_sqlite}
        known = {"token": {"env": "API_TOKEN", "executors": ["taker", "command_executor"], **options}}
        known["place"] = {"env": "PLACE", "executors": ["taker"]}
        return engine_of(*executors, plugins=plugins, url=url, sections={"secrets": {"known": known}})

    return opened


@pytest.fixture(autouse=True)
def _variable(monkeypatch):
    monkeypatch.setenv("API_TOKEN", CANARY)


async def settle(engine, *tasks):
    tree = await engine.creator.create_task_tree_from_array([group("root"), *tasks], fresh_ids=True)
    return await asyncio.wait_for(engine.manager.distribute_task_tree(tree), 60)


async def test_a_command_gets_the_value_and_nothing_stored_has_it(engine, url, tmp_path, caplog):
    command = ["sh", "-c", 'test "$TOKEN" = "$(cat)" && echo "got $TOKEN" && echo "$TOKEN" | base64 >&2']
    inputs = {"command": command, "env": {"TOKEN": secret()}, "input": secret()}
    async with engine() as opened:
        tree = await settle(opened, task("sign", "command_executor", **inputs))
        answered = str(await opened.call("tasks.history", {"task_id": tree.tasks["sign"].id}, Caller.local()))
    assert tree.tasks["sign"].result["stdout"] == "got ***"
    assert tree.tasks["sign"].inputs == inputs
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"got ***" in kept) == url.startswith("sqlite")
    assert "got ***" in answered
    for form in (CANARY, quote(CANARY, safe=""), b64encode(CANARY.encode()).decode()[:-4]):
        assert form.encode() not in kept
        assert form not in answered
        assert form not in caplog.text


async def test_each_attempt_has_the_secret_read_anew(engine, monkeypatch):
    taken = Taken(failing=1, between=lambda: monkeypatch.setenv("API_TOKEN", "rotated-since"))
    async with engine(taken.executor) as opened:
        tree = await settle(opened, task("t", "taker", token=secret()))
    assert taken.got == [CANARY, "rotated-since"]
    assert tree.tasks["t"].result == {"token": "***"}


async def test_an_attempt_that_is_denied_fails_with_the_reason_and_does_not_run(engine, monkeypatch):
    taken = Taken()
    monkeypatch.delenv("API_TOKEN")
    async with engine(taken.executor) as opened:
        tree = await settle(opened, task("t", "taker", token=secret()))
    assert taken.got == []
    assert tree.tasks["t"].error["code"] == "denied"
    assert tree.tasks["t"].error["message"] == "the secret 'token' cannot be read: the variable 'API_TOKEN' is not set"


async def test_a_tree_that_names_what_it_may_not_have_is_not_created(engine):
    async with engine(Taken().executor, executors=["command_executor"]) as opened:
        with pytest.raises(PermissionDenied, match="the secret is not for the executor 'taker', but for command_executor"):
            await opened.creator.create_task_tree_from_array([task("root", "taker", token=secret())])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_grant_that_is_taken_back_counts_for_trees_that_are_there(engine):
    taken = Taken()
    async with engine(taken.executor) as opened:
        tree = await opened.creator.create_task_tree_from_array([task("root", "taker", token=secret())])
    async with engine(taken.executor, executors=["command_executor"]) as opened:
        done = await opened.manager.distribute_task_tree(await opened.tree(tree.id))
    assert (done.root.error["code"], taken.got) == ("denied", [])


async def test_a_host_that_another_task_finds_is_checked_at_the_attempt(engine):
    @executor("find")
    async def find(url: str) -> str:
        return url

    taken = Taken()
    async with engine(taken.executor, find, hosts=["api.example.com"]) as opened:
        tree = await settle(
            opened,
            task("good", "find", url="https://api.example.com/v1"),
            task("bad", "find", url="https://evil.example/v1"),
            task("there", "taker", token=secret(), url={"$from": "good"}),
            task("elsewhere", "taker", token=secret(), url={"$from": "bad"}),
        )
    assert tree.tasks["there"].status == "completed"
    assert tree.tasks["elsewhere"].error["code"] == "denied"
    assert "is not for the host 'evil.example' that inputs.url names" in tree.tasks["elsewhere"].error["message"]
    assert taken.got == [CANARY]


async def test_a_url_that_is_a_secret_is_checked_by_its_value_and_told_by_nobody(engine, monkeypatch):
    taken = Taken()
    async with engine(taken.executor, hosts=["db.example.com"]) as opened:
        monkeypatch.setenv("PLACE", "postgres://ada:pa55word@db.example.com/flow")
        good = await settle(opened, task("t", "taker", token=secret(), url=secret("place")))
        monkeypatch.setenv("PLACE", "postgres://ada:pa55word@hidden.example/flow")
        bad = await settle(opened, task("t", "taker", token=secret(), url=secret("place")))
    assert (good.status, bad.tasks["t"].error["code"], taken.got) == ("completed", "denied", [CANARY])
    assert "hidden.example" not in bad.tasks["t"].error["message"]


async def test_callers_from_outside_get_what_is_for_them(engine):
    tasks = {"tasks": [task("root", "taker", token=secret())], "wait": 60}
    async with engine(Taken().executor) as opened:
        with pytest.raises(PermissionDenied, match="the secret is none that tasks of the executor 'taker' may have here"):
            await opened.call("tasks.execute", tasks, REMOTE)
    async with engine(Taken().executor, remote=True) as opened:
        answer = await opened.call("tasks.execute", tasks, REMOTE)
    assert CANARY not in str(answer)
    assert "completed" in str(answer)
