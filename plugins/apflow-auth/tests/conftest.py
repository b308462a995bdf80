"""Engines that ask for tokens, requests that show them, and keys to sign some with."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from attrs import define, frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.requests import HTTPConnection

from apflow.testing import engine_of
from apflow_auth import Auth
from apflow_auth.tokens import Tokens
from apflow_hookspecs import Caller
from apflow_server import Server
from apflow_server.application import application
from apflow_server.binding import bound, resolved
from apflow_server.options import Options
from apflow_server.running import listening

SECRET = "canary-" + "s3cr3t" * 12


def request(*credentials: str, query: str = "") -> HTTPConnection:
    """A request that shows these, each in a header of its own."""
    headers = [(b"authorization", credential.encode("latin-1")) for credential in credentials]
    return HTTPConnection({"type": "http", "headers": headers, "query_string": query.encode()})


@define
class Guarded:
    """An engine, and who guards it."""

    engine: Any
    plugin: Auth
    credentials: list[str]

    async def caller(self, *credentials: str, query: str = "") -> Caller | None:
        return await self.plugin.apflow_authenticate(request(*credentials, query=query))

    async def bearer(self, token: str) -> Caller | None:
        return await self.caller(f"Bearer {token}")

    async def make(self, user: str | None = "ada", *scopes: str, **options: Any) -> str:
        """The text of a new token."""
        _, text = await Tokens(self.engine.storage).create(user, scopes or ("read",), **options)
        return text


@asynccontextmanager
async def guarded(**section: Any):
    """An engine whose operator says that of credentials."""
    plugin = Auth()
    async with engine_of(plugins={"auth": plugin}, sections={"auth": section}) as engine:
        yield Guarded(engine, plugin, await plugin.apflow_credentials(engine))


@frozen
class Pair:
    """A key to sign with, and its public half."""

    private: Any
    algorithm: str

    @property
    def pem(self) -> bytes:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, kind)

    def jwk(self, key_id: str | None, **fields: Any) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        public = json.loads(algorithm.to_jwk(self.private.public_key()))
        return {**public, **({} if key_id is None else {"kid": key_id}), **fields}

    def sign(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        return jwt.encode(told(**claims), self.private, self.algorithm, headers)


def told(**claims: Any) -> dict[str, Any]:
    """Claims of ada, who may read for a minute; None takes one away."""
    given = {"sub": "ada", "exp": int(time.time()) + 60, "scope": "read", **claims}
    return {name: value for name, value in given.items() if value is not None}


@pytest.fixture(scope="session")
def rsa_pair() -> Pair:
    return Pair(rsa.generate_private_key(65537, 2048), "RS256")


@pytest.fixture(scope="session")
def other_rsa_pair() -> Pair:
    return Pair(rsa.generate_private_key(65537, 2048), "RS256")


@pytest.fixture(scope="session")
def ec_pair() -> Pair:
    return Pair(ec.generate_private_key(ec.SECP256R1()), "ES256")


@pytest.fixture
def kept(tmp_path):
    """Write a file, and give its path."""

    def keep(content: str | bytes, mode: int = 0o600, name: str = "key") -> str:
        path: Path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return str(path)

    return keep


@frozen
class Front:
    """A server on a free port, in the test's own event loop."""

    engine: Any
    port: int
    http: httpx.AsyncClient

    async def token(self, user: str | None, *scopes: str) -> dict[str, str]:
        """The header by which a user is known."""
        _, text = await Tokens(self.engine.storage).create(user, scopes)
        return {"Authorization": f"Bearer {text}"}

    async def call(self, name: str, params: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        path = "/system" if name.startswith("system.") else "/tasks"
        return await self.http.post(path, content=json.dumps({"id": 1, "method": name, "params": params}), headers=headers)


@asynccontextmanager
async def front(*executors: Any, **section: Any):
    """The server of such an engine; a credential is required from the beginning."""
    server, options = Server(), Options(port=0)
    sections = {"auth": {"required": True, **section}}
    async with engine_of(*executors, plugins={"auth": Auth(), "server": server}, sections=sections) as engine:
        app = application(engine, server.plugins, options)
        await app.state.server.start()
        (listener,) = bound(resolved("127.0.0.1", 0))
        port = listener.getsockname()[1]
        async with (
            listening(app, [listener], options),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            yield Front(engine, port, http)
