from __future__ import annotations

import ssl

import httpx
import pytest
import trustme

from apflow_guard import Refused

from .conftest import PUBLIC, Detour, body_of, guard_for, names, redirect, reply


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


@pytest.fixture
async def secure(serve, authority):
    """A server with a certificate for `public.example`; `names` are those that clients asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("public.example").configure_cert(context)
    asked = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    server = await serve(
        lambda head: reply(b"hello") if head.target == "/" else redirect("http://public.example/"), ssl=context
    )
    return server, asked


def guarded(server, **options):
    resolver = names(public_example=(PUBLIC,), other_example=(PUBLIC,))
    return guard_for(resolve=resolver, network=Detour(server.port), **options)


async def test_the_certificate_and_the_server_name_are_those_of_the_url(secure, ca_file):
    server, asked = secure
    assert await body_of(guarded(server, ca_file=ca_file), "https://public.example/") == b"hello"
    assert asked == ["public.example"]
    assert server.heads[0].headers["host"] == "public.example"


async def test_a_certificate_for_another_name_is_refused(secure, ca_file):
    with pytest.raises(httpx.ConnectError, match=r"other\.example: .*certificate is not valid for 'other\.example'"):
        await body_of(guarded(secure[0], ca_file=ca_file), "https://other.example/")
    assert secure[0].heads == []


async def test_an_unknown_authority_is_refused_and_told(secure):
    with pytest.raises(httpx.ConnectError, match=r"public\.example: .*certificate verify failed"):
        await body_of(guarded(secure[0]), "https://public.example/")
    assert secure[0].heads == []


async def test_what_is_unverified_is_so_for_its_own_host_only(secure):
    server, asked = secure
    guard = guarded(server, unverified=("Public.example.",))
    async with guard.client() as client:
        assert (await client.get("https://public.example/")).content == b"hello"
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.get("https://other.example/")
    assert asked == ["public.example", "other.example"]


async def test_an_address_is_unverified_in_whatever_form_the_operator_writes_it(secure):
    guard = guarded(secure[0], unverified=("[2606:4700:0:0::1111]",))
    assert await body_of(guard, "https://[2606:4700::1111]/") == b"hello"


async def test_a_caller_cannot_choose_what_is_verified(secure, ca_file):
    guard = guarded(secure[0], ca_file=ca_file)
    async with guard.client() as client:
        request = client.build_request("GET", "https://other.example/", extensions={"sni_hostname": "public.example"})
        with pytest.raises(httpx.ConnectError, match=r"other\.example"):
            await client.send(request)


async def test_a_redirect_from_https_to_http_is_refused(secure, ca_file):
    with pytest.raises(Refused, match="from https to http"):
        await body_of(guarded(secure[0], ca_file=ca_file), "https://public.example/down", redirects=1)


async def test_the_environment_names_no_authority(secure, ca_file, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        await body_of(guarded(secure[0]), "https://public.example/")
