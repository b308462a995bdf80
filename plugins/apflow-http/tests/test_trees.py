"""Trees through the engine: the README's, and what the sections `[http]` and `[guard]` change."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from apflow.testing import engine_of
from apflow_hookspecs.errors import ApflowError
from apflow_http import Http

from .conftest import answer, json_answer

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def example(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[0]


def engine(server, **http):
    return engine_of(plugins={"http": Http()}, sections={"guard": {"allow": [server.place]}, "http": http})


async def run(engine, tasks):
    return await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(tasks))


def request(key="only", parent=None, dependencies=(), **inputs):
    return {"id": key, "parent_id": parent, "executor": "rest_executor", "inputs": inputs, "dependencies": list(dependencies)}


async def test_the_tree_of_the_readme_runs(server, tmp_path):
    server.answers["/items"] = json_answer('{"items": [{"id": 7}]}')
    server.answers["/items/7/picture"] = answer("picture")
    async with engine(server, root=str(tmp_path)) as opened:
        done = await run(opened, json.loads(example("json").replace("https://example.org", server.origin)))
    assert done.status == "completed", [task.error for task in done]
    assert (tmp_path / "pictures/first.jpg").read_text() == "picture"
    assert server.received[0].target == "/items?limit=1"


async def test_the_configuration_of_the_readme_is_read(tmp_path):
    sections = tomllib.loads(example("toml").replace("/srv/apflow/files", str(tmp_path)))
    async with engine_of(plugins={"http": Http()}, sections=sections) as opened:
        assert opened.executors["rest_executor"].options.root == str(tmp_path)


async def test_a_configuration_that_does_not_fit_keeps_the_engine_from_opening(server):
    with pytest.raises(ApflowError, match=r"http\.root must be an absolute path"):
        async with engine(server, root="files"):
            pass


@pytest.mark.parametrize("name", ["nowhere", "file"])
async def test_a_root_that_is_no_folder_keeps_the_engine_from_opening(server, tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ApflowError) as refusal:
        async with engine(server, root=str(tmp_path / name)):
            pass
    assert f"http.root must be a folder, and '{tmp_path / name}' is none" in str(refusal.value)


async def test_results_of_dependencies_are_no_inputs_of_a_request(server):
    tasks = [
        {"id": "all"},
        request("first", "all", url=server.origin),
        request("second", "all", ["first"], url=server.origin, json={"$from": "first", "path": "/json"}, method="PUT"),
    ]
    async with engine(server) as opened:
        done = await run(opened, tasks)
    assert (done.status, server.received[1].body) == ("completed", b'{"a": 1}')


async def test_a_bad_request_is_refused_when_its_tree_is_created(server):
    async with engine(server) as opened:
        with pytest.raises(ApflowError) as refusal:
            await opened.creator.create_task_tree_from_array([request(url="http://10.0.0.1/", method="X", tiemout=3)])
    assert {problem.field for problem in refusal.value.problems} == {"inputs.url", "inputs.method", "inputs.tiemout"}
    assert "did you mean timeout?" in str([problem.rule for problem in refusal.value.problems])


async def test_a_status_that_is_not_expected_stands_in_the_error_of_the_task(server):
    async with engine(server) as opened:
        done = await run(opened, [request(url=f"{server.origin}/none")])
    assert done.root.error["message"] == f"GET {server.origin} answered 404 Not Found"
    assert (done.root.error["code"], done.root.error["details"]["body"]) == ("failed", "nothing here")


async def test_what_was_not_known_before_is_refused_by_the_guard_when_it_runs(server):
    server.answers["/"] = json_answer('"http://10.0.0.1/canary"')
    tasks = [{"id": "all"}, request("a", "all", url=server.origin), request("b", "all", url={"$from": "a", "path": "/json"})]
    async with engine(server) as opened:
        done = await run(opened, tasks)
    assert done.tasks["b"].error["code"] == "denied"
    assert "canary" not in done.tasks["b"].error["message"]


async def test_cancelling_a_tree_ends_its_requests_at_once(server):
    server.unending["/"] = b"HTTP/1.1 200 OK\r\n"
    async with engine(server) as opened:
        tree = await opened.creator.create_task_tree_from_array([request(url=server.origin)], execute=True)
        await asyncio.wait_for(server.reached.wait(), 10)
        await opened.manager.cancel(tree.id)
        done = await opened.manager.wait(tree.id)
        await asyncio.wait_for(server.left.wait(), 10)
    assert done.root.status == "cancelled"


async def test_the_time_of_a_task_ends_its_request(server):
    server.unending["/"] = b"HTTP/1.1 200 OK\r\n"
    async with engine(server) as opened:
        done = await run(opened, [{**request(url=server.origin), "timeout": 0.2}])
        await asyncio.wait_for(server.left.wait(), 10)
    assert done.root.error["code"] == "timeout"


async def test_two_engines_in_one_process_have_each_their_own_guard(server, other_server):
    async with engine(server) as one, engine(other_server) as other:
        assert (await run(one, [request(url=server.origin)])).status == "completed"
        with pytest.raises(ApflowError, match="refused"):
            await run(other, [request(url=server.origin)])


def test_looking_at_the_plugin_loads_no_client():
    program = "import sys, apflow_http; apflow_http.Http(); print({'asyncio', 'httpx', 'httpcore'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
