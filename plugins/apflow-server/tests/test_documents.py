"""What the server tells of itself holds for every operation, and for what it does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from html.parser import HTMLParser

import pytest
from attrs import frozen
from jsonschema import Draft202012Validator
from samples import echo

from apflow_hookspecs import Caller, hookimpl, operation
from apflow_server.components import Components
from apflow_server.rest import ROUTES
from apflow_server.samples import DAY, curl, sample_params

from .serving import served

DOCUMENTS = ["/openapi.json", "/openrpc.json", "/docs"]


@frozen
class Count:
    to: int


@operation("counter.count", scope="read", params=Count, result=list[int])
async def count(engine, caller, params):
    """Count <b>to</b> a number & stop."""
    return list(range(params.to))


class Counting:
    @hookimpl
    def apflow_operations(self):
        yield count


class Door:
    """Who shows scopes, has them."""

    @hookimpl
    def apflow_credentials(self):
        return ["scopes"]

    @hookimpl
    def apflow_authenticate(self, request):
        scopes = request.headers.get("x-scopes")
        return None if scopes is None else Caller("ada", frozenset(scopes.split()))


@pytest.fixture
async def server():
    async with served(echo, plugins={"counting": Counting()}) as running:
        yield running


@pytest.fixture
async def guarded():
    async with served(echo, plugins={"door": Door()}) as running:
        yield running


async def document(server, path):
    answer = await server.http.get(path)
    assert answer.status_code == 200
    return answer.json()


def schemas_in(document):
    """All schemas of a document, wherever they are."""
    if isinstance(document, list):
        return [schema for part in document for schema in schemas_in(part)]
    if not isinstance(document, dict):
        return []
    own = [document["schema"]] if isinstance(document.get("schema"), dict) else []
    return own + [schema for part in document.values() for schema in schemas_in(part)]


def references_in(document):
    return set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))


@pytest.mark.parametrize("path", ["/openapi.json", "/openrpc.json"])
async def test_every_schema_is_one(server, path):
    told = await document(server, path)
    for schema in [*schemas_in(told), *told["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", ["/openapi.json", "/openrpc.json"])
async def test_every_reference_leads_to_a_part(server, path):
    told = await document(server, path)
    assert references_in(told)
    assert references_in(told) <= {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}


async def test_openrpc_has_every_operation_with_all_that_is_declared(server):
    told = await document(server, "/openrpc.json")
    methods = {method["name"]: method for method in told["methods"]}
    assert list(methods) == list(server.engine.operations)
    for name, method in methods.items():
        declared = server.engine.describe(name)
        assert [param["name"] for param in method["params"]] == list(declared["params"]["properties"])
        assert [param["name"] for param in method["params"] if param["required"]] == declared["params"]["required"]
        assert (method["summary"], method["x-scope"]) == (declared["summary"], declared["scope"])
        assert method["errors"] == declared["errors"]


async def test_an_operation_is_where_openrpc_says(server):
    told = await document(server, "/openrpc.json")
    for method in told["methods"]:
        (place,) = method["servers"]
        answer = await server.http.post(place["url"], json={"method": method["name"], "params": {"no such parameter": 1}})
        assert answer.json()["error"]["code"] == -32602, method["name"]


async def test_openapi_has_every_route_of_the_server(server):
    told = await document(server, "/openapi.json")
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    routed = {(method, route.path) for route in server.app.routes for method in route.methods - {"HEAD"}}
    assert described == routed | {("GET", "/health/live"), ("GET", "/health/ready")}


async def test_openapi_has_what_a_path_holds_as_parameters(server):
    told = await document(server, "/openapi.json")
    for path, methods in told["paths"].items():
        for described in methods.values():
            named = [param["name"] for param in described.get("parameters", []) if param["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)


async def test_openapi_has_all_parameters_of_a_resource(server):
    told = await document(server, "/openapi.json")
    for rest in ROUTES:
        described = told["paths"][rest.path][rest.method.lower()]
        body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        named = {param["name"] for param in described["parameters"]} | set(body.get("properties", ()))
        assert named == set(server.engine.describe(rest.operation)["params"]["properties"]), rest


async def test_a_request_and_its_answer_fit_openapi(server):
    told = await document(server, "/openapi.json")
    rpc = told["paths"]["/tasks"]["post"]
    request = {"jsonrpc": "2.0", "id": 1, "method": "tasks.create", "params": {"tasks": [{"executor": "echo"}]}}
    refused = {"jsonrpc": "2.0", "id": 1, "method": "tasks.get", "params": {"task_id": "none"}}
    asked = rpc["requestBody"]["content"]["application/json"]["schema"]
    for body in (request, refused, [request, refused]):
        assert fits(body, asked, told)
        answer = (await server.http.post("/tasks", json=body)).json()
        assert fits(answer, rpc["responses"]["200"]["content"]["application/json"]["schema"], told)
    assert not fits({**request, "method": "tasks.made"}, asked, told)
    assert not fits({**request, "params": {}}, asked, told)


async def test_the_answer_of_a_resource_fits_openapi(server):
    told = await document(server, "/openapi.json")
    await server.engine.call("tasks.create", {"tasks": [{"id": "root", "executor": "echo"}]}, Caller.local())
    for rest in ROUTES:
        if rest.method == "GET":
            answer = await server.http.get(rest.path.format(task_id="root"))
            schema = told["paths"][rest.path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            assert fits(answer.json(), schema, told), rest


def fits(value, schema, told):
    return Draft202012Validator({**schema, "components": told["components"]}).is_valid(value)


async def test_documents_are_made_once_for_all_operations_of_plugins_too(server):
    for path in DOCUMENTS:
        first, second = [await server.http.get(path) for _ in range(2)]
        assert first.content == second.content
        assert "counter.count" in first.text


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"x-scopes": "submit"}, 403), ({"x-scopes": "read"}, 200)])
async def test_documents_are_for_those_who_may_read(guarded, path, headers, status):
    assert (await guarded.http.get(path, headers=headers)).status_code == status


async def test_a_client_is_told_whether_a_credential_is_asked_for(server, guarded):
    closed = (await guarded.http.get("/openapi.json", headers={"x-scopes": "read"})).json()
    assert ((await document(server, "/openapi.json"))["security"], closed["security"]) == ([], [{"bearer": []}])
    assert closed["paths"]["/health/live"]["get"]["security"] == []
    page = await guarded.http.get("/docs", headers={"x-scopes": "read"})
    assert "$APFLOW_TOKEN" in page.text
    assert "$APFLOW_TOKEN" not in (await server.http.get("/docs")).text


class Elements(HTMLParser):
    """The elements of a page, and the text of each `pre`."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.lines = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)
        if tag == "pre":
            self.lines.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "pre" in self.open:
            self.lines[-1] += data


@pytest.fixture
async def page(server):
    answer = await server.http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    return answer


async def test_the_page_lists_every_operation(server, page):
    elements = Elements(page.text)
    assert elements.open == []
    anchors = [about["id"] for tag, about in elements.found if tag == "article" and not about["id"].startswith("part-")]
    assert anchors == list(server.engine.operations)


async def test_a_link_within_the_page_leads_somewhere(page):
    found = Elements(page.text).found
    anchors = {about["id"] for _, about in found if "id" in about}
    assert {about["href"][1:] for tag, about in found if tag == "a" and about["href"].startswith("#")} <= anchors


async def test_the_page_asks_nobody_for_anything_and_runs_nothing(page):
    elements = Elements(page.text)
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "link", "img", "iframe", "form", "object"})
    assert not [
        about for _, about in elements.found if any(name.startswith("on") or name in ("src", "style") for name in about)
    ]
    assert not [about for tag, about in elements.found if tag == "a" and not about["href"].startswith(("#", "/open"))]
    policy = page.headers["content-security-policy"]
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


async def test_what_plugins_say_is_text_on_the_page(page):
    assert "Count &lt;b&gt;to&lt;/b&gt; a number &amp; stop." in page.text


async def test_the_examples_of_the_page_work_as_typed(server, page):
    for line in Elements(page.text).lines:
        program, *rest = shlex.split(line)
        assert (program, rest[:2]) == ("curl", ["-X", "POST"])
        assert rest[2].startswith(f"http://127.0.0.1:{server.port}/")
        if "_ID" in line or "system.backup" in line:
            continue
        answer = await server.http.post(rest[2], content=rest[rest.index("-d") + 1])
        assert answer.status_code == 200, (line, answer.text)


async def test_the_parameters_of_an_example_fit(server):
    for name in server.engine.operations:
        params = server.engine.describe(name)["params"]
        given = sample_params(params, {"tasks": [{"executor": "echo"}]})
        assert Draft202012Validator(params).is_valid(given), (name, given)


async def test_an_example_deletes_nothing_that_is_new(page):
    (line,) = [line for line in Elements(page.text).lines if "tasks.purge" in line]
    assert json.loads(shlex.split(line)[-1])["params"]["older_than"] >= DAY


def test_an_example_holds_whatever_quotes_there_are():
    line = curl("http://h", "tasks.create", {"name": 'Ada\'s "tree"'}, guarded=True)
    arguments = shlex.split(line)
    assert json.loads(arguments[-1]) == {"method": "tasks.create", "params": {"name": 'Ada\'s "tree"'}}
    assert "Authorization: Bearer $APFLOW_TOKEN" in arguments


async def test_the_address_of_the_examples_is_the_one_that_was_asked(server):
    answer = await server.http.get("/docs", headers={"Host": f"localhost:{server.port}"})
    assert f"http://localhost:{server.port}/tasks" in answer.text


PART = {"$ref": "#/$defs/Part"}
LEAF = {"$ref": "#/$defs/Leaf"}


def test_a_part_of_many_schemas_is_kept_once():
    components = Components()
    schema = {**PART, "$defs": {"Part": {"type": "object", "properties": {"next": PART}}}}
    assert components.shared(schema) == components.shared(schema) == {"$ref": "#/components/schemas/Part"}
    assert components.schemas == {"Part": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Part"}}}}


def test_different_parts_of_one_name_are_both_kept():
    components = Components()
    one, two = ({**PART, "$defs": {"Part": LEAF, "Leaf": {"type": kind}}} for kind in ("string", "integer"))
    assert components.shared(one) == {"$ref": "#/components/schemas/Part"}
    assert components.shared(two) == {"$ref": "#/components/schemas/Part_2"}
    assert components.schemas["Part_2"] == {"$ref": "#/components/schemas/Leaf_2"}
    assert components.schemas["Leaf_2"] == {"type": "integer"}
