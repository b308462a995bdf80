"""What an operator may write, and what keeps a server from starting."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from attrs import fields
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from apflow_auth.options import Jwt
from apflow_hookspecs.errors import ConfigError

from .conftest import SECRET, guarded


async def told(**options):
    """Why a server does not start."""
    with pytest.raises(ConfigError) as refused:
        async with guarded(jwt=options):
            pass
    assert SECRET not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, "must have exactly one of key_file, secret_file, secret_env, jwks_url, and has none"),
        (
            {"key_file": "/a", "secret_env": "A"},
            "must have exactly one of key_file, secret_file, secret_env, jwks_url, and has",
        ),
        ({"key_file": "key.pem"}, "key_file = 'key.pem': must be an absolute path"),
        ({"secret_file": "~/key"}, "secret_file = '~/key': must be an absolute path"),
        ({"secret_env": ""}, "secret_env = '': must be the name of a variable"),
        ({"secret_env": "A=B"}, "secret_env = 'A=B': must be the name of a variable"),
        (
            {"secret_env": "A", "algorithms": ["RS256"]},
            "algorithms: 'RS256' must be one of HS256, HS384, HS512, which go with a",
        ),
        ({"key_file": "/a", "algorithms": ["RS256", "HS256"]}, "algorithms: 'HS256' must be one of RS256"),
        ({"key_file": "/a", "algorithms": ["none"]}, "algorithms: 'none' must be one of"),
        ({"secret_env": "A", "algorithms": ["none"]}, "algorithms: 'none' must be one of"),
        ({"key_file": "/a", "algorithms": "RS256"}, "must be an array"),
        ({"key_file": "/a", "leeway": 61}, "leeway = 61.0: must be 0 to 60 seconds"),
        ({"key_file": "/a", "leeway": -1}, "leeway = -1.0: must be 0 to 60 seconds"),
        (
            {"key_file": "/a", "roles": {"boss": ["read", "root"]}},
            "roles.boss: there is no scope 'root', only admin, cancel, read",
        ),
        ({"key_file": "/a", "secret": "x"}, "secret"),
        ({"key_file": "/no/such/file"}, "auth.jwt.key_file = '/no/such/file': cannot be read: No such file or directory"),
        ({"secret_file": "/"}, "auth.jwt.secret_file = '/': is no file"),
        (
            {"secret_env": "NO_SUCH_VARIABLE"},
            "secret_env = 'NO_SUCH_VARIABLE': the secret has 0 bytes, and HS256 need at least 32",
        ),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(options, rule):
    assert rule in await told(**options)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.org/keys", "file:///etc/passwd", "ftp://127.0.0.1/", "//id.example.org", "id.example.org/keys", "",
        "https://", "https://user:pw@id.example.org/", "http://127.0.0.1@evil.example/", "http://localhost.evil.example/",
        "http://10.0.0.1/", "http://169.254.169.254/", "https://id.example.org/ x", "https://id.example.org:port/", "data:,x",
    ],
)  # fmt: skip
async def test_keys_are_fetched_by_https_or_from_this_machine(url):
    assert f"jwks_url = '{url}': must be an https URL, or an http one of this machine" in await told(jwks_url=url)


@pytest.mark.parametrize(
    "url", ["https://id.example.org/keys?v=1", "http://localhost:8080/keys", "http://[::1]:1/", "http://127.0.0.2/"]
)
async def test_such_addresses_are_taken(url):
    async with guarded(jwt={"jwks_url": url}) as guard:
        assert guard.credentials == ["JSON Web Tokens (RS256, ES256)"]


@pytest.mark.parametrize("secret", ["", "x", "\n", "x" * 31, "x" * 31 + "\n"])
async def test_a_secret_that_is_too_short_is_refused(kept, monkeypatch, secret):
    monkeypatch.setenv("JWT_SECRET", secret.strip("\n"))
    size = len(secret.rstrip("\n"))
    for options in ({"secret_file": kept(secret)}, {"secret_env": "JWT_SECRET"}):
        assert f"the secret has {size} bytes, and HS256 need at least 32" in await told(**options)


async def test_a_longer_hash_needs_a_longer_secret(kept):
    options = {"secret_file": kept("x" * 63), "algorithms": ["HS256", "HS512"]}
    assert "the secret has 63 bytes, and HS256 and HS512 need at least 64" in await told(**options)


async def test_a_secret_that_is_only_in_the_environment_works_and_stays_there(monkeypatch):
    monkeypatch.setenv("JWT_SECRET", SECRET)
    for _ in range(2):
        async with guarded(jwt={"secret_env": "JWT_SECRET"}) as guard:
            assert guard.credentials == ["JSON Web Tokens (HS256)"]
        assert os.environ["JWT_SECRET"] == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o620, 0o666, 0o610])
async def test_a_secret_that_others_can_read_or_write_is_refused(kept, mode):
    refused = await told(secret_file=kept(SECRET, mode))
    assert f"has the mode {mode:04o}, and group and others must not read or write it (chmod 600)" in refused


async def test_a_public_key_that_others_can_write_is_refused(kept, rsa_pair):
    refused = await told(key_file=kept(rsa_pair.pem, 0o664))
    assert "has the mode 0664, and group and others must not write it (chmod 644)" in refused


async def test_what_is_not_a_file_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no file" in await told(secret_file=str(tmp_path / "pipe"))


async def test_a_key_anybody_may_know_is_no_secret(kept, rsa_pair):
    assert "holds a key of another kind" in await told(secret_file=kept(rsa_pair.pem))


async def test_a_private_key_has_no_place_on_the_server(kept, rsa_pair):
    pem = rsa_pair.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert "holds a private key; the server needs the public one alone" in await told(key_file=kept(pem))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\x00" * 99]
)
async def test_a_file_without_a_key_is_refused(kept, content):
    assert "holds no public key in PEM" in await told(key_file=kept(content))


async def test_a_file_that_is_too_large_is_refused(kept):
    assert "holds more than 65536 bytes" in await told(key_file=kept(b"x" * 65_537))


def public(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


async def test_a_key_that_is_weak_or_for_another_algorithm_is_refused(kept):
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    assert "the key fits none of RS256, ES256 (an RSA key needs 2048 bits)" in await told(key_file=kept(public(weak)))
    curve = ec.generate_private_key(ec.SECP384R1())
    assert "the key fits none of RS256, ES256" in await told(key_file=kept(public(curve)))
    async with guarded(jwt={"key_file": kept(public(curve)), "algorithms": ["ES384"]}) as guard:
        assert guard.credentials == ["JSON Web Tokens (ES384)"]


async def test_what_cannot_be_used_does_not_concern_who_runs_no_server(kept):
    from apflow.testing import engine_of
    from apflow_auth import Auth

    sections = {"auth": {"jwt": {"secret_file": kept("x", 0o644)}}}
    async with engine_of(plugins={"auth": Auth()}, sections=sections) as engine:
        assert engine.operations["tokens.create"].scope == "admin"


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


async def test_the_configurations_of_the_readme_fit():
    required, web_tokens = (tomllib.loads(text)["auth"] for text in re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    async with guarded(**required) as guard:
        assert guard.credentials == ["a token, of which there is none yet"]
    async with guarded(**web_tokens) as guard:
        assert guard.credentials == ["JSON Web Tokens (RS256, ES256)"]


def test_the_readme_names_every_option_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    for option in fields(Jwt):
        assert option.name in rows
        if isinstance(option.default, str):
            assert rows[option.name] == f"`{option.default}`"
    assert float(rows["leeway"]) == fields(Jwt).leeway.default
