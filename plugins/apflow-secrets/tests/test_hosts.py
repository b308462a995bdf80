"""A secret that is bound to hosts goes to no other."""

from __future__ import annotations

import re

import pytest

from .conftest import CANARY, secret

HOSTS = ["api.example.com", "*.internal.example", "münchen.example", "10.0.0.7", "::1"]

GOOD = [
    {"url": "https://api.example.com/v1?x=1#y"},
    {"url": "HTTPS://API.Example.COM.:8443/"},
    {"url": "https://user:pw@api.example.com/"},
    {"url": "https://a.internal.example"},
    {"url": "https://a.b.internal.example"},
    {"url": "https://münchen.example/"},
    {"url": "https://MÜNCHEN.example/"},
    {"url": "https://xn--mnchen-3ya.example/"},
    {"url": "http://10.0.0.7:81"},
    {"url": "http://[::1]:81/"},
    {"url": "http://[0:0:0:0:0:0:0:1]/"},
    {"base_url": "https://api.example.com", "url": "/v1"},
    {"base_url": "https://api.example.com", "url": None},
    {"server": "api.example.com:22"},
    {"server": "[::1]:22"},
    {"host": "api.example.com"},
    {"host": "::1"},
    {"host": "[::1]"},
    {"url": "https://api.example.com", "host": "a.internal.example", "server": "10.0.0.7"},
]
BAD = [
    {"url": "https://evil.example/"},
    {"url": "https://api.example.com.evil.example/"},
    {"url": "https://evilapi.example.com/"},
    {"url": "https://internal.example/"},
    {"url": "https://evilinternal.example/"},
    {"url": "https://evil.example/@api.example.com"},
    {"url": "https://evil.example#@api.example.com"},
    {"url": "https://evil.example?@api.example.com"},
    {"url": "https://api.example.com@evil.example"},
    {"url": "https://evil.example\\@api.example.com"},
    {"url": "https://evil.example@a@api.example.com"},
    {"url": "https://api.example.com\t.evil.example"},
    {"url": " https://api.example.com"},
    {"url": "https://api.example.com:80evil"},
    {"url": "https://api%2eexample%2ecom"},
    {"url": "https://[::1"},
    {"url": "https://ap\uff49.example.com"},
    {"url": "https://api\u3002example\u3002com"},
    {"url": "https:///api.example.com"},
    {"url": "https:api.example.com"},
    {"url": "api.example.com"},
    {"url": "//evil.example", "base_url": "https://api.example.com"},
    {"url": "/\\evil.example", "base_url": "https://api.example.com"},
    {"url": ["https://api.example.com"]},
    {"url": {"$secret": "not the author's"}},
    {"url": ""},
    {"url": "/v1"},
    {"url": "https://api.example.com", "host": "evil.example"},
    {"url": "https://api.example.com", "base_url": "https://evil.example"},
    {"server": "api.example.com@evil.example"},
    {"server": "evil.example/api.example.com"},
    {"server": "api.example.com?"},
    {"host": "api.example.com:22"},
    {"host": "evil.example"},
    {"host": "http://api.example.com"},
    {},
]


@pytest.mark.parametrize("inputs", GOOD, ids=str)
async def test_a_host_of_the_list_is_given_it(asking, inputs):
    assert await asking(hosts=HOSTS).value(resolved=inputs) == CANARY


@pytest.mark.parametrize("inputs", BAD, ids=str)
async def test_no_other_host_is_given_it(asking, inputs):
    told = await asking(hosts=HOSTS).refusal(resolved=inputs)
    assert re.match(
        r"the secret 'token' is (not for the host '.*' that inputs\.|for certain hosts, and inputs|for the hosts)", told
    )


async def test_letters_that_programs_turn_into_different_names_are_refused(asking):
    assert await asking(hosts=["fass.example"]).value(resolved={"url": "https://fass.example"}) == CANARY
    assert "must name a host" in await asking(hosts=["fass.example"]).refusal(resolved={"url": "https://faß.example"})


async def test_the_host_is_told_and_the_rest_of_the_url_is_not(asking):
    ask = asking(hosts=["api.example.com"])
    told = await ask.refusal(resolved={"url": "https://ada:pa55word@evil.example/path?token=t0ken"})
    assert told == "the secret 'token' is not for the host 'evil.example' that inputs.url names, but for api.example.com"


async def test_from_outside_the_hosts_of_a_secret_are_not_told(asking):
    ask = asking(hosts=["api.example.com"], remote=True)
    told = await ask.refusal(origin="remote", resolved={"url": "https://evil.example"})
    assert told == "the secret 'token' is not for the host 'evil.example' that inputs.url names"
    assert await ask.refusal(origin="remote") == "the secret 'token' is for certain hosts, and the inputs name none"


async def test_a_host_that_is_known_is_checked_when_the_tree_is_created(asking):
    ask = asking(hosts=["api.example.com"])
    assert await ask.problems(value=secret(), url="https://api.example.com/") == []
    (problem,) = await ask.problems(value=secret(), url="https://ada:pa55word@evil.example/")
    assert problem["field"] == "inputs.value"
    assert problem["message"].endswith("is not for the host 'evil.example' that inputs.url names, but for api.example.com")
    assert "pa55word" not in str(problem)


async def test_a_host_that_is_not_known_yet_is_left_to_the_attempt(asking):
    assert await asking(hosts=["api.example.com"]).problems(value=secret()) == []


async def test_a_url_that_is_a_secret_itself_counts_by_its_value_and_is_not_told(asking, monkeypatch):
    ask = asking(hosts=["db.example.com"], beside={"place": {"env": "PLACE", "executors": ["take"]}})
    monkeypatch.setenv("PLACE", "postgres://ada:pa55word@db.example.com/flow")
    assert await ask.value(inputs={"url": secret("place")}) == CANARY
    monkeypatch.setenv("PLACE", "postgres://ada:pa55word@hidden.example/flow")
    told = await ask.refusal(inputs={"url": secret("place")})
    assert told == "the secret 'token' is not for the host that inputs.url names, but for db.example.com"


async def test_a_url_is_a_secret_only_where_its_author_wrote_so(asking, monkeypatch):
    ask = asking(hosts=["db.example.com"], beside={"place": {"env": "PLACE", "executors": ["take"]}})
    monkeypatch.setenv("PLACE", "https://db.example.com")
    told = await ask.refusal(inputs={"url": {"$from": "a"}}, resolved={"url": secret("place")})
    assert "must name a host" in told


async def test_a_url_that_is_a_secret_which_the_task_may_not_have_denies(asking, monkeypatch):
    ask = asking(hosts=["db.example.com"], beside={"place": {"env": "PLACE", "executors": ["other"]}})
    monkeypatch.setenv("PLACE", "https://db.example.com")
    assert "is not for the executor 'take'" in await ask.refusal(inputs={"url": secret("place")})


async def test_without_hosts_nothing_is_looked_at(asking):
    assert await asking().value(resolved={"url": "https://evil.example"}) == CANARY
