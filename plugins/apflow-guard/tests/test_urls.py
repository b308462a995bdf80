from __future__ import annotations

from ipaddress import ip_address

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apflow_guard import Refused, TooLong, TooMuch
from apflow_guard.places import place_of

from .conftest import PUBLIC, guard_for, names

WRONG = {
    "http://127.1/": "four decimal numbers",
    "http://0/": "four decimal numbers",
    "http://0x7f.1/": "four decimal numbers",
    "http://0X7F000001/": "four decimal numbers",
    "http://0x/": "four decimal numbers",
    "http://2130706433/": "four decimal numbers",
    "http://127.0.0.1./": "four decimal numbers",
    "http://public.0x7f/": "four decimal numbers",
    "http://1.2.3.4.5/": "four decimal numbers",
    "http://0177.0.0.1/": "malformed",
    "http://127.0.0.256/": "malformed",
    "http://\uff11\uff12\uff17.0.0.1/": "malformed",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/": "malformed",
    "http://127\u30020\u30020\u30021/": "loopback",
    "http://[::1/": "malformed",
    "http://[v1.fe]/": "malformed",
    "http://public:port/": "malformed",
    "http://public:\uff11/": "port 1 is none",
    "http://[::]/": "an address of this host",
    "http://[::1]/": "loopback",
    "http://[::ffff:127.0.0.1]/": "mapped IPv4",
    "http://[0:0:0:0:0:ffff:7f00:1]/": "mapped IPv4",
    "http://[64:ff9b::7f00:1]/": "translated IPv4",
    "http://[fe80::1%25eth0]/": "interface",
    "http://[fe80::1%eth0]/": "interface",
    "http://127.0.0.1/": "loopback",
    "http://127.0.0.1#@a": "loopback",
    "http://169.254.169.254/latest/meta-data/": "link-local",
    "http://public..example/": "letters, digits",
    "http://.public/": "letters, digits",
    "http://public../": "letters, digits",
    "http://public%2e/": "letters, digits",
    "http://127.0.0.1%00.public/": "letters, digits",
    "http://a;b/": "letters, digits",
    f"http://{'a' * 64}/": "letters, digits",
    f"http://{'a.' * 127}a/": "letters, digits",
    "http://user@127.0.0.1/": "user or a password",
    "http://user:word@public/": "user or a password",
    "http://@public/": "user or a password",
    "http://public@evil@public/": "user or a password",
    "http://public\\@127.0.0.1/": "backslashes",
    "http:\\\\public\\": "backslashes",
    "http://public/\t": "backslashes",
    "http://public\n/": "backslashes",
    "http://public /": "backslashes",
    " http://public/": "backslashes",
    "http://public/\x00": "backslashes",
    "http://public/\u2028": "backslashes",
    "http:///path": "must have a host",
    "http:public": "must have a host",
    "http:/public": "must have a host",
    "//public/": "http or https",
    "/path": "http or https",
    "": "http or https",
    "file:///etc/passwd": "http or https",
    "gopher://public/": "http or https",
    "ftp://public/": "http or https",
    "ws://public/": "http or https",
    "unix:///run/docker.sock": "http or https",
    "javascript:alert(1)": "http or https",
    "http://public:22/": "port 22 is none",
    "http://public:25/": "port 25 is none",
    "http://public:6379/": "port 6379 is none",
    "http://public:0/": "port 0 is none",
    f"http://public/{'a' * 70_000}": "malformed",
}


@pytest.mark.parametrize(("url", "rule"), WRONG.items(), ids=[ascii(url)[:40] for url in WRONG])
def test_a_url_is_refused_before_anything_is_resolved(url, rule):
    with pytest.raises(Refused, match=rule) as refused:
        guard_for(resolve=names()).check_url(url)
    assert refused.value.error == "denied"


@pytest.mark.parametrize(
    "url",
    [
        "http://public/", "https://public/", "HTTPS://PUBLIC./", "http://public:443/", "https://public:80", "http://public?a=b",
        "http://a_b.example/", "http://xn--bcher-kva.example/", "http://bücher.example/", "http://1password.example/",
        "http://example.1e100/", f"http://{PUBLIC}/@user", "http://[2606:4700::1111]/", f"http://{'a' * 63}/", "http://public/%00",
    ],
)  # fmt: skip
def test_a_url_to_a_public_place_passes(url):
    guard_for(resolve=names()).check_url(url)
    guard_for(resolve=names()).check_url(httpx.URL(url))


ONE_MEANING = [url for url in WRONG if url != "http://@public/" and "backslashes" not in WRONG[url]]
"""Those that are not refused for how others may read them."""


@pytest.mark.parametrize("url", ONE_MEANING, ids=[ascii(url)[:40] for url in ONE_MEANING])
async def test_a_client_sends_nothing_there_either(url):
    with pytest.raises((Refused, httpx.InvalidURL, httpx.UnsupportedProtocol)):
        async with guard_for(resolve=names()).client() as client:
            await client.get(url)


@pytest.mark.parametrize(
    "url", ["http://us:se-cret@internal/", "http://us:se-cret@[::1/", "http://us:se-cret/@internal/", "http://127.0.0.1/se-cret?a=se-cret"]
)  # fmt: skip
def test_a_refusal_shows_no_secret_of_the_url(url):
    with pytest.raises(Refused) as refused:
        guard_for().check_url(url)
    assert "cret" not in f"{refused.value}{refused.value.details}{refused.value.__cause__}"


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("http://127.0.0.1/", "127.0.0.1"), ("http://[::1]/", "[::1]"), ("http://public:8080/", "public:8080"),
        ("http://10.0.0.1:8080/", "10.0.0.1:8080"), ("http://[fd00::1]:8080/", "[fd00::1]:8080"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_would_open_it(url, allow):
    with pytest.raises(Refused, match=r"guard\.allow") as refused:
        guard_for().check_url(url)
    assert f"[{allow!r}]" in str(refused.value)
    guard_for(allow).check_url(url)


@pytest.mark.parametrize(
    "url", ["http://public:0/", "http://public:65536/", f"http://{PUBLIC}:0/", "http://[2606:4700::1111]:99999/"]
)
async def test_what_nothing_opens_comes_without_advice(url):
    with pytest.raises(Refused, match=r"port \d+ is none") as refused:
        guard_for().check_url(url)
    assert "allow" not in str(refused.value)
    with pytest.raises(Refused, match="port -1 is none") as refused:
        await guard_for().addresses("public", -1)
    assert "allow" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[::1]/", "::1"), ("http://[2606:4700::1111]:8080/", "2606:4700::1111"), ("ftp://[::1]/", "::1"),
        ("http://a@[::1]:80/", "::1"), ("http://[fe80::1%25eth0]/", "fe80::1%25eth0"), ("http://LOCALHOST.:8080/", "localhost"),
        ("http://127.1/", "127.1"), ("http://a;b/", "a;b"), ("http://u:w@Public:80/", "public"), ("http://[::1", None),
    ],
)  # fmt: skip
def test_a_refusal_tells_the_plain_host(url, host):
    with pytest.raises(Refused) as refused:
        guard_for().check_url(url)
    assert refused.value.details["host"] == host


def test_every_way_to_fail_tells_the_plain_host():
    for error in (Refused("::1", "rule"), TooLong("::1", 1), TooMuch("::1", 1)):
        assert error.details["host"] == "::1"
        assert str(error).startswith("[::1]")


pieces = st.sampled_from(
    ["http:", "//", "/", "@", ":", "[", "]", "%", "#", "?", "\\", ".", "-", "_", "127", "0x", "public", "80", "::"]
)


@given(st.lists(pieces | st.text(max_size=3), max_size=12).map("".join), st.sampled_from(["", "http://", "https://"]))
@settings(max_examples=1000)
def test_whatever_is_written_either_passes_as_httpx_reads_it_or_is_refused(text, start):
    try:
        place = place_of(start + text)
    except Refused:
        return
    read = httpx.URL(start + text).raw_host.decode()
    if place.address is None:
        assert place.host == read.removesuffix(".")
        assert any(character.isalpha() or character in "-_" for character in place.host)
    else:
        assert place.address == ip_address(read)
