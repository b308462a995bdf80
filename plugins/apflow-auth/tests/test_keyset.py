"""The keys that an issuer publishes, on a real server of this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from attrs import define, field

from apflow_auth import jwks
from apflow_auth.jwks import FRESH, LARGEST, PAUSE, STALE, KeySet
from apflow_auth.options import Jwt
from apflow_auth.refusal import InvalidToken
from apflow_auth.webtokens import WebTokens

from .conftest import guarded, told

ALLOWED = ("RS256", "ES256")


@define(eq=False)
class Issuer:
    """Publishes keys, or does something else instead."""

    keys: list = field(factory=list)
    status: int = 200
    headers: dict = field(factory=dict)
    raw: bytes | None = None
    asked: list = field(factory=list)
    stuck: threading.Event | None = None
    url: str = ""

    @property
    def body(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode() if self.raw is None else self.raw


@contextmanager
def served(issuer):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            issuer.asked.append(self.path)
            if issuer.stuck is not None:
                issuer.stuck.wait(30)
            self.send_response(issuer.status)
            for name, value in issuer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(issuer.body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield
        finally:
            if issuer.stuck is not None:
                issuer.stuck.set()
            server.shutdown()


@pytest.fixture
def issuer():
    issuer = Issuer()
    with served(issuer):
        yield issuer


@define
class Clock:
    now: float = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(issuer, clock):
    return KeySet(issuer.url, ALLOWED, clock=clock)


async def test_tokens_are_checked_with_the_key_that_they_name(issuer, rsa_pair, ec_pair):
    issuer.keys = [rsa_pair.jwk("one"), ec_pair.jwk("two")]
    async with guarded(jwt={"jwks_url": issuer.url}) as guard:
        assert guard.credentials == ["JSON Web Tokens (RS256, ES256)"]
        assert await guard.bearer(rsa_pair.sign({"kid": "one"}))
        assert await guard.bearer(ec_pair.sign({"kid": "two"}))
        for wrong in (
            rsa_pair.sign({"kid": "two"}),
            ec_pair.sign({"kid": "one"}),
            rsa_pair.sign(),
            rsa_pair.sign({"kid": "x"}),
        ):
            with pytest.raises(InvalidToken):
                await guard.bearer(wrong)
    assert issuer.asked == ["/keys"]


async def test_it_is_asked_when_the_first_token_comes_and_not_before(issuer, rsa_pair):
    issuer.keys = [rsa_pair.jwk("one")]
    async with guarded(jwt={"jwks_url": issuer.url}) as guard:
        assert issuer.asked == []
        await guard.bearer(rsa_pair.sign({"kid": "one"}))
        assert issuer.asked == ["/keys"]


async def test_a_token_that_names_no_key_counts_where_there_is_only_one(keys, issuer, rsa_pair, ec_pair, clock):
    issuer.keys = [rsa_pair.jwk("one")]
    assert len(await keys.keys(None)) == 1
    issuer.keys = [rsa_pair.jwk("one"), ec_pair.jwk("two")]
    clock.now += FRESH + 1
    assert await keys.keys(None) == ()


async def test_an_unknown_key_has_it_asked_once_a_minute_at_most(keys, issuer, rsa_pair, ec_pair, clock):
    issuer.keys = [rsa_pair.jwk("one")]
    for key_id in ("one", *map(str, range(50)), "../../etc/passwd", "http://127.0.0.1:1/"):
        await keys.keys(key_id)
    assert len(issuer.asked) == 1
    issuer.keys.append(ec_pair.jwk("two"))
    clock.now += PAUSE - 1
    assert await keys.keys("two") == ()
    clock.now += 1
    assert len(await keys.keys("two")) == 1
    assert len(issuer.asked) == 2


async def test_a_key_that_was_taken_back_counts_no_more_once_keys_are_fetched_anew(keys, issuer, rsa_pair, ec_pair, clock):
    issuer.keys = [rsa_pair.jwk("one"), ec_pair.jwk("two")]
    assert len(await keys.keys("one")) == 1
    issuer.keys = [ec_pair.jwk("two")]
    clock.now += FRESH
    assert len(await keys.keys("one")) == 1
    clock.now += 1
    assert await keys.keys("one") == ()


async def test_while_the_issuer_is_away_the_keys_it_had_count_for_an_hour(keys, issuer, rsa_pair, clock):
    issuer.keys = [rsa_pair.jwk("one")]
    await keys.keys("one")
    issuer.status = 503
    clock.now += STALE
    assert len(await keys.keys("one")) == 1
    clock.now += 1
    assert await keys.keys("one") == ()
    issuer.status = 200
    clock.now += PAUSE
    assert len(await keys.keys("one")) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 500}, "the answer has the status 500"),
        ({"status": 404}, "the answer has the status 404"),
        ({"raw": b"x" * (LARGEST + 1)}, f"more than {LARGEST} bytes"),
        ({"raw": b"no JSON"}, "the answer is no set of keys"),
        ({"raw": b"[]"}, "the answer is no set of keys"),
        ({"raw": b"[" * 100_000}, "the answer is no set of keys"),
        ({"raw": b"\xff\xfe\x00"}, "the answer is no set of keys"),
    ],
)
async def test_what_is_no_set_of_keys_is_told_to_the_operator(keys, issuer, caplog, answer, why):
    for name, value in answer.items():
        setattr(issuer, name, value)
    assert await keys.keys("one") == ()
    assert f"the keys at {issuer.url} cannot be had: {why}" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(keys, issuer, rsa_pair, status, caplog):
    other = Issuer(keys=[rsa_pair.jwk("one")])
    with served(other):
        issuer.status, issuer.headers = status, {"Location": other.url}
        assert await keys.keys("one") == ()
    assert other.asked == []
    assert f"the answer has the status {status}" in caplog.text


async def test_no_proxy_is_asked(keys, issuer, rsa_pair, monkeypatch):
    issuer.keys = [rsa_pair.jwk("one")]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(await keys.keys("one")) == 1


async def test_an_issuer_that_does_not_answer_is_not_waited_for(issuer, monkeypatch, caplog):
    monkeypatch.setattr(jwks, "TIMEOUT", 0.05)
    issuer.stuck = threading.Event()
    assert await KeySet(issuer.url, ALLOWED).keys("one") == ()
    assert "cannot be had" in caplog.text


async def test_an_issuer_that_is_not_there_is_told(caplog):
    assert await KeySet("http://127.0.0.1:9/", ALLOWED).keys("one") == ()
    assert "the keys at http://127.0.0.1:9/ cannot be had: URLError" in caplog.text


async def test_what_is_no_public_key_for_signatures_is_passed_over(keys, issuer, rsa_pair, ec_pair):
    secret = {"kty": "oct", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg", "kid": "secret", "alg": "HS256"}
    private = {**json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(rsa_pair.private)), "kid": "private"}
    issuer.keys = [
        secret, private, rsa_pair.jwk("wraps", use="enc"), rsa_pair.jwk("other", alg="RS512"), rsa_pair.jwk("none", alg="none"),
        {**rsa_pair.jwk("broken"), "n": "!"}, {**rsa_pair.jwk("short"), "n": "AQAB"}, rsa_pair.jwk("number") | {"kid": 1},
        {"kid": "empty"}, None, 1, "key", [], ec_pair.jwk("right", use="sig", alg="ES256"),
    ]  # fmt: skip
    assert [key.algorithms for key in await keys.keys("right")] == [("ES256",)]
    for key_id in ("secret", "private", "wraps", "other", "none", "broken", "short", "1", "empty"):
        assert await keys.keys(key_id) == ()
    assert len(await keys.keys(None)) == 1


async def test_a_token_says_nothing_about_the_algorithm_of_a_key(issuer, rsa_pair):
    issuer.keys = [rsa_pair.jwk("one")]
    tokens = WebTokens.of(Jwt(jwks_url=issuer.url))
    for algorithm in ("RS512", "PS256"):
        with pytest.raises(InvalidToken):
            await tokens.caller(jwt.encode(told(), rsa_pair.private, algorithm, {"kid": "one"}))
    with pytest.raises(InvalidToken):
        await tokens.caller(jwt.encode(told(), "x" * 32, "HS256", {"kid": "one"}))
