from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from apflow.testing.clock import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def connection():
    """A request as a server sees it: from an address, with what proxies say about it."""

    def connection(address="192.0.2.1", *forwarded):
        headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
        client = None if address is None else (address, 50_000)
        return HTTPConnection({"type": "http", "headers": headers, "client": client, "path": "/tasks"})

    return connection
