"""Commands that a server does: the same output as when they are done here."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from programs import Program, Running, install

TREE = [
    {"id": "tree", "name": "all"},
    {"id": "one", "parent_id": "tree", "executor": "echo", "inputs": {"value": "a\u202eb"}},
    {"id": "two", "parent_id": "tree", "executor": "echo", "inputs": {"value": "c"}, "dependencies": ["one"]},
]
OTHER = [{"id": "other", "executor": "echo", "inputs": {"value": "d"}}]
FAILING = [{"id": "bad", "executor": "fail", "inputs": {"message": "no\nway"}}]
ASKING = [{"id": "ask", "executor": "approval_executor", "inputs": {"prompt": "may I?"}}]
PROBE = """
from apflow_hookspecs import TaskFailed, executor, hookimpl


@executor("echo")
async def echo(value: str) -> str:
    return value


@executor("fail")
async def fail(message: str) -> None:
    raise TaskFailed(message)


@hookimpl
def apflow_executors():
    yield from (echo, fail)
"""
COMMANDS = [
    ["tasks", "create", "tree.json"],
    ["tasks", "create", "tree.json"],
    ["tasks", "create", "broken.json"],
    ["tasks", "validate", "tree.json"],
    ["tasks", "get", "one"],
    ["tasks", "get", "nobody"],
    ["tasks", "explain", "two"],
    ["tasks", "update", "two", "--name", "second"],
    ["tasks", "execute", "tree"],
    ["tasks", "tree", "tree"],
    ["tasks", "children", "tree"],
    ["tasks", "history", "one"],
    ["tasks", "watch", "tree"],
    ["tasks", "copy", "one", "--dry-run"],
    ["tasks", "execute", "tree"],
    ["tasks", "create", "failing.json", "--execute"],
    ["tasks", "create", "asking.json"],
    ["tasks", "execute", "ask"],
    ["tasks", "answer", "ask", "nonsense"],
    ["tasks", "cancel", "ask"],
    ["tasks", "watch", "ask"],
    ["tasks", "create", "other.json"],
    ["tasks", "cancel", "other"],
    ["tasks", "archive", "tree"],
    ["tasks", "delete", "other"],
    ["tasks", "count"],
    ["tasks", "list"],
    ["tasks", "purge", "--older-than", "1d", "--dry-run"],
    ["run", "failing.json"],
    ["resume"],
]
VARYING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?|\d\d:\d\d:\d\d|\d+\.\d+ s"
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|process \d+|http://[^ ]+:\d+"
)


@pytest.fixture
def programs(tmp_path):
    """`apflow` with a storage of its own, and another one, with the same files, that a server serves."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install(plugins, "probe", probe=PROBE)
    made = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        program = Program(folder, plugins)
        for file, tasks in (("tree", TREE), ("other", OTHER), ("failing", FAILING), ("asking", ASKING)):
            program.file(tasks, f"{file}.json")
        program.file([{"id": "x", "executor": "nobody"}], "broken.json")
        made.append(program)
    return made


@pytest.fixture
def url(programs):
    import subprocess

    _, there = programs
    server = Running(there.start("serve", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    try:
        yield re.search(r"http://[^ ]+:\d+", server.until("http://"))[0]
    finally:
        server.send(15)
        assert server.finish().code == 0
        server.close()


def shown(done):
    """What a command said and how it ended, without what differs from run to run."""
    return done.code, VARYING.sub("…", done.out), VARYING.sub("…", done.err)


def test_each_command_says_the_same_here_and_through_a_server(programs, url):
    here, there = programs
    with ThreadPoolExecutor(2) as both:
        for command in COMMANDS:
            one, other = both.submit(here, *command), both.submit(there, *command, "--url", url)
            assert shown(one.result()) == shown(other.result()), command


def test_watching_goes_on_when_the_server_ends_in_order_and_is_started_again(programs):
    import subprocess

    _, there = programs
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    first = Running(there.start("serve", "--port", "0", **pipes))
    url = re.search(r"http://[^ ]+:(\d+)", first.until("http://"))
    there("tasks", "create", "asking.json", "--url", url[0])
    there("tasks", "execute", "ask", "--url", url[0])
    watching = Running(there.start("tasks", "watch", "ask", "--url", url[0], **pipes))
    watching.until("waits for an answer")
    first.send(15)
    assert first.finish().code == 0
    second = Running(there.start("serve", "--port", url[1], **pipes))
    try:
        second.until("http://")
        answered = there("tasks", "answer", "ask", "approve", "--url", url[0])
        done = watching.finish()
    finally:
        second.send(15)
        second.finish()
        for running in (first, second, watching):
            running.close()
    assert answered.code == 0, answered.err
    assert (done.code, done.out.count("waits for an answer"), done.out.count("tree completed")) == (0, 1, 1)


def test_machines_get_the_same_json(programs, url):
    here, there = programs
    for command in (["run", "tree.json"], ["tasks", "list"], ["tasks", "create", "other.json"], ["tasks", "get", "nobody"]):
        one, other = here(*command, "--json"), there(*command, "--json", APFLOW_URL=url)
        assert shown(one) == shown(other), command
        if one.out:
            assert json.loads(one.out).keys() == json.loads(other.out).keys()


def test_a_path_at_which_the_server_has_nothing_is_told_with_the_url(programs, url):
    here, _ = programs
    done = here("tasks", "list", "--url", f"{url}/wrong")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: url = '{url}/wrong': there is a server, and nothing of apflow at this path\n"


def test_a_server_that_is_not_there_is_one_line(programs):
    here, _ = programs
    done = here("tasks", "list", "--url", "http://127.0.0.1:9")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: http://127.0.0.1:9 cannot be reached: ")
    assert len(done.err.splitlines()) == 1


def test_what_is_no_server_of_apflow_is_told(programs, tmp_path):
    import http.server
    import threading

    here, _ = programs
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = here("tasks", "list", "--url", f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 70
    assert "answers with status 501, and not as a server of apflow does" in done.err


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--url", "ftp://x"), "url = 'ftp://x': must be the URL of a server"),
        (("--url", "http://ada:pw@x"), "must be the URL of a server"),
        (("--url", "http://x", "--db", "y.db"), "--url and --db name two places"),
    ],
)
def test_a_url_that_does_not_fit_is_refused(programs, arguments, rule):
    here, _ = programs
    done = here("tasks", "list", *arguments)
    assert done.code == 2
    assert rule in done.err
    assert "ada:pw" not in done.err


def test_what_is_about_this_machine_takes_no_url(programs):
    here, _ = programs
    done = here("db", "info", "--url", "http://127.0.0.1:9")
    assert done.code == 2
    assert "--url: this command works on this machine only" in done.err


def test_a_storage_that_is_named_goes_before_a_server_of_the_configuration(programs):
    here, _ = programs
    assert here("tasks", "list", "--db", "own.db", APFLOW_URL="http://127.0.0.1:9").code == 0
