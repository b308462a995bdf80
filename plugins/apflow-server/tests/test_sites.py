"""Which names and pages get in, and what every answer carries."""

import pytest
from samples import echo

from .raw import said, status
from .serving import served

CALL = {"method": "tasks.count"}
HERE = "http://127.0.0.1"


@pytest.fixture
async def server():
    async with served(echo) as running:
        yield running


async def asked(server, host, line="GET /tasks HTTP/1.1"):
    hosts = "".join(f"Host: {name}\r\n" for name in ([host] if isinstance(host, str) else host))
    return status(await said(server.port, f"{line}\r\n{hosts}Connection: close\r\n\r\n"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]:8000"])
async def test_the_names_of_loopback_are_known(server, host):
    assert await asked(server, host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil", "evil.example:8000", "localhost.evil", "127.0.0.1.nip.io", "localhost.", "169.254.169.254", "[::]", "a b", "@"],
)
async def test_another_name_is_refused(server, host):
    assert await asked(server, host) == 421


async def test_no_name_and_two_names_are_refused(server):
    assert await asked(server, ["localhost", "evil"]) in (400, 421)
    assert await asked(server, ["localhost", "localhost"]) in (400, 421)
    assert await asked(server, [], "GET /tasks HTTP/1.0") == 421
    assert await asked(server, "") == 421


async def test_a_name_may_be_allowed():
    async with served(allowed_hosts=("flow.example.org",)) as server:
        assert await asked(server, "flow.example.org") == 200
        assert await asked(server, "Flow.Example.Org:443") == 200
        assert await asked(server, "example.org") == 421


async def test_all_names_may_be_allowed():
    async with served(allowed_hosts=("*",)) as server:
        assert await asked(server, "anything.example") == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "", "http://localhost.evil"]
)
async def test_a_page_of_another_site_is_refused(server, origin):
    for method in ("POST", "GET", "OPTIONS"):
        answer = await server.http.request(method, "/tasks", headers={"Origin": origin})
        assert answer.status_code == 403, method
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_a_page_of_another_site_embeds_is_refused_and_its_links_lead_here(server, site):
    embedded = await server.http.get("/tasks", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
    followed = await server.http.get("/tasks", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
    posted = await server.http.post("/tasks", json=CALL, headers={"Sec-Fetch-Site": site})
    assert [answer.status_code for answer in (embedded, followed, posted)] == [403, 200, 403]


async def test_a_page_of_ours_may_call(server):
    answer = await server.http.post("/tasks", json=CALL, headers={"Origin": f"{HERE}:{server.port}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", ""])
async def test_a_browser_sends_json_as_json(server, kind):
    for signs in ({"Origin": f"{HERE}:{server.port}"}, {"Sec-Fetch-Site": "same-origin"}):
        answer = await server.http.post("/tasks", content=b'{"method": "tasks.count"}', headers={**signs, "Content-Type": kind})
        assert answer.status_code == 415, signs


async def test_a_preflight_of_another_site_is_answered_where_it_is_allowed():
    page = "https://app.example.org"
    wants = {"Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with served(cors_origins=(page,)) as server:
        preflight = await server.http.options("/tasks", headers=wants)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, page)
        answer = await server.http.post("/tasks", json=CALL, headers={"Origin": page})
        assert answer.headers["access-control-allow-origin"] == page
        assert "access-control-allow-credentials" not in answer.headers
        assert (await server.http.options("/tasks", headers={**wants, "Origin": "https://evil.example"})).status_code == 403


@pytest.mark.parametrize("origin", ["*", "example.org", "https://example.org/", "ftp://a", "null"])
async def test_what_is_no_origin_cannot_be_allowed(origin):
    with pytest.raises(ValueError, match="cors_origins"):
        async with served(cors_origins=(origin,)):
            pass


@pytest.mark.parametrize("path", ["/tasks", "/nothing", "/health/live", "/tasks/none", "/system/health"])
async def test_every_answer_carries_careful_headers(server, path):
    headers = (await server.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert not {"server", "x-powered-by", "access-control-allow-origin"} & headers.keys()


async def test_a_name_that_is_refused_is_told_with_careful_headers(server):
    answer = await server.http.get("/tasks", headers={"Host": "evil"})
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (421, "nosniff")
