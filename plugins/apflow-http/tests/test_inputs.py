"""What is refused, when a tree is created and when it runs."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from apflow_guard import Guard, GuardOptions
from apflow_hookspecs import Dependency, TaskContext, TaskFailed
from apflow_hookspecs.errors import PermissionDenied
from apflow_http import Options, RestExecutor
from apflow_http.checks import FIELDS

from .conftest import task_of

URL = "https://example.org/"
REFUSED = [
    ({"url": None}, "url is missing"),
    ({"url": 5}, "inputs.url = …: must be a text that begins with http"),
    ({"url": "ftp://example.org/canary"}, "must be a text that begins with http"),
    ({"url": "example.org/canary"}, "must be a text that begins with http"),
    ({"method": "FETCH"}, "inputs.method = 'FETCH': must be one of GET"),
    ({"method": 5}, "inputs.method = 5"),
    ({"headers": ["canary"]}, "inputs.headers = …: must be an object"),
    ({"headers": {"X-A": "canary\r\nX-B: 1"}}, "X-A must be a number, or a text of ISO 8859-1 without line breaks"),
    ({"headers": {"X-A": "canary\n"}}, "X-A must be"),
    ({"headers": {"X-A": "canary\0"}}, "X-A must be"),
    ({"headers": {"X-A": "canary ☃"}}, "X-A must be"),
    ({"headers": {"X-A": True}}, "X-A must be"),
    ({"headers": {"X-A": ["canary"]}}, "X-A must be"),
    ({"headers": {"X A": "canary"}}, "'X A' is no name of a header"),
    ({"headers": {"X-A\r\nX-B": "canary"}}, r"'X-A\\r\\nX-B' is no name of a header"),
    ({"headers": {"": "canary"}}, "'' is no name of a header"),
    ({"headers": {"host": "canary"}}, "host is set by the client itself"),
    ({"headers": {"Content-Length": "5"}}, "Content-Length is set by the client itself"),
    ({"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding is set by the client itself"),
    ({"headers": {"CONNECTION": "close"}}, "CONNECTION is set by the client itself"),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "must name each header once"),
    ({"params": "canary"}, "inputs.params = …: must be an object"),
    ({"params": {"a": {"b": "canary"}}}, "'a' must be a text, a number, a truth value or a list"),
    ({"params": {"a": None}}, "'a' must be a text"),
    ({"params": {"a": "\ud800canary"}}, "must be text that UTF-8 can hold"),
    ({"data": ["canary"]}, "inputs.data = …: must be an object"),
    ({"data": "\ud800canary"}, "must be text that UTF-8 can hold"),
    ({"json": {}, "data": "canary"}, "a request has one body: json or data"),
    ({"auth": "canary"}, "must be an object with a type: bearer, basic, apikey"),
    ({"auth": {"type": "digest", "password": "canary"}}, "must be an object with a type"),
    ({"auth": {"type": "bearer"}}, "token is missing"),
    ({"auth": {"type": "bearer", "token": "canary\n"}}, "token must be a text of ISO 8859-1 without line breaks"),
    ({"auth": {"type": "bearer", "tokn": "canary", "token": "canary"}}, "'tokn' is unknown; bearer needs token"),
    ({"auth": {"type": "basic", "username": "a"}}, "password is missing"),
    ({"auth": {"type": "basic", "username": "a:b", "password": "canary"}}, "username must not hold ':'"),
    ({"auth": {"type": "apikey", "key": "X", "value": ""}}, "value is missing"),
    ({"auth": {"type": "apikey", "key": "Host", "value": "canary"}}, "Host is set by the client itself"),
    ({"auth": {"type": "apikey", "key": "X", "value": "canary", "location": "body"}}, "location must be header or query"),
    ({"auth": {"type": "bearer", "token": "canary"}, "headers": {"authorization": "canary"}}, "headers say the same already"),
    ({"timeout": 0}, "inputs.timeout = 0: must be a number of seconds above 0"),
    ({"timeout": "30"}, "inputs.timeout = '30'"),
    ({"timeout": float("nan")}, "inputs.timeout = nan"),
    ({"timeout": 31}, r"at most what the operator allows, 30 seconds \(guard.timeout\)"),
    ({"verify": False}, r"inputs.verify = False: must be true: .*guard.unverified"),
    ({"verify": "/my/ca.pem"}, "must be true"),
    ({"redirects": -1}, "inputs.redirects = -1: must be an integer from 0"),
    ({"redirects": True}, "must be an integer from 0"),
    ({"redirects": 4}, r"at most what the operator allows, 3 \(guard.max_redirects\)"),
    ({"expect": []}, "inputs.expect"),
    ({"expect": 200}, "inputs.expect = 200: must be a list"),
    ({"expect": ["200"]}, "must be a list of status codes from 200 to 599"),
    ({"expect": [100]}, "must be a list of status codes"),
    ({"expect": ["1xx"]}, "must be a list of status codes"),
    ({"save_to": "a"}, "the operator has named no folder for it .http.root."),
    ({"idempotency_key": "yes"}, "inputs.idempotency_key = 'yes': must be true or false"),
    ({"idempotency_key": True, "headers": {"Idempotency-Key": "k"}}, "headers have an Idempotency-Key of their own"),
    ({"header": {"X-A": "canary"}}, "takes no such input; did you mean headers?"),
    ({"colour": "canary"}, "takes no such input; it takes json, url"),
]


def problems(executor, inputs, **fields):
    return list(executor.problems(task_of(inputs, **fields)))


@pytest.fixture
def public() -> RestExecutor:
    return RestExecutor()


@pytest.mark.parametrize(("inputs", "told"), REFUSED)
async def test_inputs_that_do_not_fit_are_refused_by_field_value_and_rule_and_no_secret_is_shown(public, inputs, told):
    given = {"url": URL, **inputs}
    with pytest.raises(AssertionError, match=told):
        assert "\n".join(map(str, problems(public, given))) == ""
    with pytest.raises(TaskFailed, match=told) as failure:
        await public.execute(given, TaskContext(task=task_of(given), idempotency_key="k"))
    assert failure.value.error == "bad_input"
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        *(
            (path, "relative to the operator's folder")
            for path in ("/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a/", "..")
        ),
        *((path, "must be a path of 1 to 4096 characters") for path in ("", "x" * 4097, 5)),
        *((path, "control characters") for path in ("a\0b", "a\nb", "\x1b[2J", "a\u202eb", "a\u2028", "\ud800", "a/\x7f/b")),
        *((path, "a part that is blank") for path in (" ", "a/  /b", " /a")),
        *((path, "at most 255 bytes") for path in ("x" * 256, "a/" + "ü" * 128, "x" * 256 + "/a")),
        ("a/" * 33 + "b", "at most 32 folders"),
    ],
)
async def test_a_path_that_leaves_its_folder_or_has_no_plain_names_is_refused(tmp_path, path, rule):
    executor = RestExecutor(Options(root=str(tmp_path)))
    given = {"url": URL, "save_to": path}
    [problem] = problems(executor, given)
    assert (problem.field, rule in problem.rule) == ("inputs.save_to", True)
    with pytest.raises(TaskFailed, match=r"inputs\.save_to = "):
        await executor.execute(given)


def test_an_answer_without_a_body_cannot_be_saved(tmp_path):
    executor = RestExecutor(Options(root=str(tmp_path)))
    [problem] = problems(executor, {"url": URL, "method": "head", "save_to": "a"})
    assert problem.rule == "the answer to HEAD has no body"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/canary",
        "http://localhost:8080/canary",
        "http://127.1/canary",
        "http://[::1]/canary?canary",
        "http://169.254.169.254/canary",
        "https://canary:canary@example.org/",
        "http://example.org:22/canary",
    ],
)
async def test_what_the_guard_refuses_is_denied_at_creation_and_when_it_runs(public, url):
    [problem] = problems(public, {"url": url})
    assert problem.code == PermissionDenied.code
    with pytest.raises(TaskFailed) as failure:
        await public.execute({"url": url})
    assert failure.value.error == "denied"
    assert "canary" not in f"{problem} {failure.value}"


@pytest.mark.parametrize(
    "inputs",
    [
        {name: {"$from": "plan", "path": f"/{name}"} for name in FIELDS if name not in ("data", "save_to")},
        {"url": {"$secret": "url"}, "headers": {"$secret": "h"}, "params": {"$secret": "p"}, "auth": {"$secret": "a"}},
        {"url": {"$literal": 5}},
        {"url": URL, "headers": {"X": {"$secret": "x"}}, "params": {"a": {"$from": "plan"}, "b": [{"$from": "plan"}]}},
        {"url": URL, "auth": {"type": "bearer", "token": {"$secret": "t"}}},
        {"url": URL, "auth": {"type": "apikey", "key": {"$from": "plan"}, "value": {"$secret": "t"}}},
        {"url": URL, "auth": {"type": {"$from": "plan"}}},
        {"url": URL, "data": {"a": {"$secret": "t"}}, "expect": [{"$from": "plan"}]},
        {"url": URL, "json": {"a": {"$secret": "t"}}},
        dict.fromkeys(FIELDS) | {"url": URL},
    ],
)
def test_what_is_only_known_later_passes_at_creation(public, inputs):
    assert problems(public, inputs) == []


@pytest.mark.parametrize(
    "inputs",
    [
        dict.fromkeys(FIELDS) | {"url": URL},
        {"url": URL, "method": "get", "headers": {"X": 1}, "params": {"a": [1, "b", True]}, "expect": [200, "4xx"]},
        {"url": URL, "auth": {"type": "basic", "username": "a", "password": ""}, "data": "text", "timeout": 0.5},
        {"url": URL, "auth": {"type": "bearer", "token": "t"}, "data": {"a": 1}, "verify": True, "redirects": 3},
    ],
)
def test_what_is_taken_fits_the_schema_that_is_shown(public, inputs):
    assert problems(public, inputs) == []
    assert list(Draft202012Validator(RestExecutor.input_schema).iter_errors(inputs)) == []


def test_the_schema_tells_every_input_and_which_are_not_shown():
    properties = RestExecutor.input_schema["properties"]
    assert set(properties) == set(FIELDS)
    hidden = {name for name, schema in properties.items() if schema.get("writeOnly")}
    assert hidden == {"url", "headers", "params", "json", "data", "auth"}


SHOWN = ("method", "timeout", "verify", "redirects", "expect", "save_to", "idempotency_key")


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("wrap", [lambda secret: secret, lambda secret: [200, secret]])
def test_what_is_told_in_messages_and_results_must_not_be_a_secret(tmp_path, name, wrap):
    executor = RestExecutor(Options(root=str(tmp_path)))
    found = problems(executor, {"url": URL, name: wrap({"$secret": "name"})})
    assert (f"inputs.{name}", "must not be a secret") in {(problem.field, problem.rule) for problem in found}


def test_a_url_may_arrive_from_a_dependency(public):
    assert problems(public, {}, dependencies=(Dependency("id", "url"),)) == []


async def test_results_of_dependencies_beside_the_inputs_are_no_inputs(executor, server):
    given = {"url": server.origin, "first": {"text": "a"}}
    context = TaskContext(task=task_of({}), results={"first": {"text": "a"}})
    assert (await executor.execute(given, context))["success"]


def test_all_problems_of_a_task_are_told_together(public):
    found = problems(public, {"url": 5, "method": "X", "timeout": -1, "colour": 1})
    assert {problem.field for problem in found} == {"inputs.url", "inputs.method", "inputs.timeout", "inputs.colour"}
    assert {problem.task for problem in found} == {"t"}


async def test_a_key_of_the_run_needs_an_engine(public):
    with pytest.raises(TaskFailed, match=r"inputs\.idempotency_key = True: there is none without an engine"):
        await public.execute({"url": URL, "idempotency_key": True})


async def test_params_that_make_the_url_too_long_are_refused_without_being_shown(public):
    with pytest.raises(TaskFailed, match="with its params it is no URL") as failure:
        await public.execute({"url": URL, "params": {"a": "canary" * 20_000}})
    assert failure.value.error == "bad_input"
    assert "canary" not in str(failure.value)


def test_the_time_of_a_request_is_bounded_by_the_operators():
    short = RestExecutor(guard=Guard(GuardOptions(timeout=5)))
    assert problems(short, {"url": URL}) == []
    [problem] = problems(short, {"url": URL, "timeout": 6})
    assert "5 seconds (guard.timeout)" in problem.rule


@pytest.mark.parametrize("root", ["relative", "", "/a\0b"])
def test_a_folder_that_is_no_absolute_path_is_refused(root):
    with pytest.raises(ValueError, match=r"http\.root must be an absolute path"):
        Options(root=root)
