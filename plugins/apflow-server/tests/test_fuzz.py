"""Whatever is sent, what comes back is an answer: never a fault, never a word of the inside, never the memory of the server.

`APFLOW_FUZZED=20000` sends that many instead of 2,000.
"""

import asyncio
import json
import logging
import os
import re
import string
import sys
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import quote

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from samples import add, boom, echo

import apflow_sqlite
from apflow.testing import engine_of
from apflow_cache import Cache
from apflow_hookspecs import SCOPES, Caller, hookimpl
from apflow_retry import Retries
from apflow_server.rest import ROUTES

from .serving import served

TOTAL = int(os.environ.get("APFLOW_FUZZED", "2000"))
AT_ONCE = 8
MIB = 1 << 20
INSIDE = re.compile(
    r'Traceback|File "|site-packages|sqlite3|\bSELECT\b|\bINSERT INTO\b|no such (table|column)|0x[0-9a-f]{8}|'
    + "|".join(map(re.escape, (str(Path(__file__).parents[3]), sys.prefix, str(Path.home()), gettempdir()))),
)
PLANNED = {429, 503}
IDS = ("root", "left", "right", "lone", "done", "gone")
TREE = (
    {"id": "root", "executor": "echo", "inputs": {"value": 1}},
    {"id": "left", "parent_id": "root", "executor": "boom"},
    {
        "id": "right",
        "parent_id": "root",
        "executor": "add",
        "inputs": {"a": 1},
        "dependencies": [{"id": "left", "required": False}],
    },
)
ODD = (
    None, True, False, 0, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**99, 1e-320, 1e308, -0.0, 0.5, "", " ", "\0",
    "\u202e", "\U0010ffff",
    "x" * 5000, "/etc/passwd", "../../flow.db", "'; drop table tasks; --", "{{ 1 }}", "${left}", "%s%n", "__class__", "1",
    "null", "root",
    "NaN", "2026-02-30T25:61:00Z", [], {}, [[]], [None], {"": None}, {"$ref": "#"}, {"__proto__": {}}, ["root"] * 200,
    [1] * 1001,
)  # fmt: skip
NAMES = ("id", "parent_id", "dependencies", "inputs", "params", "schemas", "policies", "timeout", "priority", "optional",
"name",
         "executor", "user_id", "status", "result", "context_id", "condition", "tags", "progress", "created_at", "tree_id",
         "\0")  # fmt: skip

texts = st.text(max_size=20)
odd = st.sampled_from(ODD)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(
    scalars | odd, lambda part: st.lists(part, max_size=4) | st.dictionaries(texts, part, max_size=4), max_leaves=12
)
keys = st.sampled_from(IDS) | st.text(string.ascii_letters, min_size=1, max_size=8)
tasks = st.fixed_dictionaries(
    {"id": keys},
    optional={
        "executor": st.sampled_from(["echo", "add", "boom", "nobody", "", None]),
        "parent_id": keys, "name": texts, "inputs": st.dictionaries(st.sampled_from(["value", "a", "b", "message"]), anything),
        "params": st.dictionaries(texts, anything, max_size=2), "priority": st.integers(-1, 5),
        "dependencies": st.lists(keys | st.fixed_dictionaries({"id": keys}, optional={"required": st.booleans()}), max_size=3),
        "timeout": st.floats(0.01, 5) | odd, "policies": st.dictionaries(st.sampled_from(["retry", "cache", "limit"]),
        anything, max_size=1),
    },
)  # fmt: skip
KNOWN = {
    "task_id": keys, "task_ids": st.lists(keys, max_size=4), "tasks": st.lists(tasks, max_size=4),
    "wait": st.sampled_from([0, 0.01, -1, "1", None]), "fields": st.dictionaries(st.sampled_from(NAMES), anything, max_size=3),
}  # fmt: skip


def of_schema(schema, parts):
    """Values that a JSON Schema takes, as far as operations use it."""
    if "$ref" in schema:
        return of_schema(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return st.one_of([of_schema(choice, parts) for choice in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    least = schema.get("minimum")
    items = schema.get("items", {})
    simple = {
        "string": keys | texts, "integer": st.integers(least), "boolean": st.booleans(),
        "number": st.floats(least, allow_infinity=False, allow_nan=False),
        "null": st.none(),
        "object": st.dictionaries(texts, anything, max_size=3),
    }  # fmt: skip
    return (
        st.lists(of_schema(items, parts), max_size=3)
        if schema.get("type") == "array"
        else simple.get(schema.get("type"), anything)
    )


def of_operation(described):
    """Parameters that fit an operation."""
    params = described["params"]
    parts = params.get("$defs", {})
    fitting = {
        name: KNOWN[name] if name in KNOWN else of_schema(schema, parts) for name, schema in params["properties"].items()
    }
    required = {name: fitting.pop(name) for name in params["required"]}
    return st.fixed_dictionaries(required, optional=fitting)


async def _described():
    async with engine_of() as engine:
        return {name: engine.describe(name) for name in engine.operations}


DESCRIBED = asyncio.run(_described())
PARAMS = {name: of_operation(described) for name, described in DESCRIBED.items()}


def places(value, path=()):
    """Where a value can be bent."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def replaced(value, path, new):
    """A copy with something else in one place."""
    if not path:
        return new
    first, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[first] = replaced(value[first], rest, new)
    return copy


@st.composite
def bent(draw, values):
    """A value that is wrong in none, one or two places."""
    value = draw(values)
    for _ in range(draw(st.integers(0, 2))):
        value = replaced(value, draw(st.sampled_from(list(places(value)))), draw(anything))
    return value


@st.composite
def calls(draw):
    """A request for an operation; it may wait, but not for long."""
    name = draw(st.sampled_from(sorted(PARAMS)))
    call = {"jsonrpc": "2.0", "id": draw(st.integers(0, 9) | texts), "method": name, "params": draw(PARAMS[name])}
    call = draw(bent(st.just(call)))
    params = call.get("params") if isinstance(call, dict) else None
    if isinstance(params, dict) and isinstance(params.get("wait"), int | float):
        params = {**params, "wait": min(params["wait"], 0.05)}
        call = {**call, "params": params}
    return call


def written(value):
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


@st.composite
def damaged(draw):
    """A request's text with bytes that are cut, changed or doubled."""
    text = bytearray(draw(calls().map(written)))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    text[start:end] = draw(
        st.binary(max_size=6) | st.sampled_from([b"", b'"', b"\\ud800", b"\\u0000", b"1e999", b"NaN", b"[" * 99, b"\xff"])
    )
    return bytes(text)


BODIES = {
    "requests": (calls().map(written), 9),
    "damaged requests": (damaged(), 3),
    "batches": (st.lists(calls() | anything, max_size=6).map(written), 2),
    "any JSON": (anything.map(written), 1),
    "any bytes": (st.binary(max_size=300), 1),
}
values = (keys | texts | odd.map(str) | st.integers().map(str)).map(lambda text: quote(text.encode(errors="replace"), safe=""))


@st.composite
def resources(draw):
    """Method, target and body of a request to a resource, with parameters of its operation and others."""
    rest = draw(st.sampled_from(ROUTES))
    path = rest.path.replace("{task_id}", draw(values) or "a")
    names = sorted(DESCRIBED[rest.operation]["params"]["properties"]) or ["a"]
    query = draw(st.lists(st.tuples(st.sampled_from(names).map(quote) | values, values), max_size=4))
    if rest.method == "GET":
        body = b""
    else:
        query = [(name, value) for name, value in query if name != "wait"]
        body = draw(bent(PARAMS[rest.operation]).filter(_is_brief).map(written) | st.binary(max_size=20) | st.just(b""))
    method = draw(st.sampled_from([rest.method] * 9 + ["PUT", "HEAD", "OPTIONS", "PATCH", "TRACE"]))
    return method, f"{path}?{'&'.join(f'{name}={value}' for name, value in query)}", body


def _is_brief(params):
    wait = params.get("wait") if isinstance(params, dict) else None
    return not isinstance(wait, int | float) or wait < 0.05


def share(parts):
    """So many of all that is sent, in 20ths."""
    return settings(
        max_examples=TOTAL * parts // 20, deadline=None, database=None, derandomize=TOTAL == 2000, phases=[Phase.generate,
        Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def check(answer, sent):
    """An answer tells what is wrong with a request, in the form of the protocol, and nothing else."""
    assert answer.status_code < 500 or answer.status_code in PLANNED, (sent, answer.text)
    assert not INSIDE.search(answer.text), (sent, answer.text)
    if answer.content and answer.request.method != "HEAD" and "json" in answer.headers["content-type"]:
        told = answer.json()
        for each in told if isinstance(told, list) else [told]:
            assert not (isinstance(each, dict) and (each.get("error") or {}) and each["error"] and _code(each) == -32603), (
                sent,
                each,
            )


def _code(each):
    error = each["error"]
    return error.get("code") if isinstance(error, dict) else None


class Door:
    """Everybody is ada, who is shown no more than any user."""

    @hookimpl
    def apflow_credentials(self):
        return ["a smile"]

    @hookimpl
    def apflow_authenticate(self, request):
        return Caller("ada", SCOPES - {"admin"})


@pytest.fixture
async def server(tmp_path):
    """Real, and with something to find in it."""
    plugins = {"sqlite": apflow_sqlite, "retry": Retries(), "cache": Cache(), "door": Door()}
    async with served(echo, add, boom, plugins=plugins, url=f"sqlite:///{tmp_path}/flow.db") as running:
        for tasks_ in (TREE, [{"id": "lone", "executor": "echo"}], [{"id": "done", "executor": "echo"}]):
            made = await running.http.post("/tasks", json={"method": "tasks.create", "params": {"tasks": tasks_}})
            assert made.status_code == 200, made.text
        assert (await running.http.post("/tasks/done/execute", json={"wait": 30})).json()["status"] == "completed"
        yield running


@pytest.fixture
def quiet(caplog):
    """The log has no fault in it."""

    def checked(sent):
        loud = [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
        caplog.clear()
        assert not loud, (sent, loud[0].getMessage(), loud[0].exc_info)

    return checked


async def answered(server, requests, quiet):
    """Send all, some at once."""
    for start in range(0, len(requests), AT_ONCE):
        some = requests[start : start + AT_ONCE]
        answers = await asyncio.gather(*(server.http.request(method, target, content=body) for method, target, body in some))
        for answer, sent in zip(answers, some, strict=True):
            check(answer, sent)
        quiet(some)


@pytest.mark.parametrize("kind", BODIES)
async def test_no_body_is_answered_with_a_fault(server, quiet, kind):
    bodies, parts = BODIES[kind]
    sent = []

    @share(parts)
    @given(bodies)
    def gathered(body):
        sent.append(body)

    gathered()
    await answered(server, [("POST", "/system" if b'"system.' in body else "/tasks", body) for body in sent], quiet)


async def test_no_path_or_query_is_answered_with_a_fault(server, quiet):
    sent = []

    @share(4)
    @given(resources())
    def gathered(request):
        sent.append(request)

    gathered()
    await answered(server, sent, quiet)


async def test_the_memory_of_a_server_stays_what_it_is(serve):
    sent = []

    @settings(share(8), phases=[Phase.generate])
    @given(damaged() | anything.map(written) | calls().filter(_leaves_nothing).map(written))
    def gathered(body):
        sent.append(body)

    gathered()
    service = serve(APFLOW_BLOCK="ratelimit")
    memory = psutil.Process(service.running.pid).memory_info
    async with httpx.AsyncClient(base_url=service.http.base_url, trust_env=False) as client:
        for body in sent:
            check(await client.post("/tasks", content=body), body)
        before = memory().rss
        for body in sent * 2:
            check(await client.post("/tasks", content=body), body)
    grown = (memory().rss - before) / MIB
    print(f"{grown:.1f} MiB more after {2 * len(sent)} requests")  # noqa: T201 - how far it is from the bound
    assert grown < 16, f"{2 * len(sent)} requests, and {grown:.1f} MiB more"


def _leaves_nothing(call):
    return not isinstance(call, dict) or call.get("method") not in ("tasks.create", "tasks.execute", "tasks.copy")
