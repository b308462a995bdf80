"""An engine behind a server of apflow, reached over HTTP: JSON-RPC for operations, server-sent events for what happens."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from apflow.operations.views import encode
from apflow.remote import ConnectionLost, RemoteEngine, as_error, as_event
from apflow_hookspecs import ApflowError, Caller, Event, Json
from apflow_hookspecs.errors import ConfigError, PermissionDenied, StorageOwned

if TYPE_CHECKING:
    import httpx

CONNECT = 10.0
"""Seconds that a connection may take."""
SILENCE = 60.0
"""Seconds without a sign of life, of which a stream gives one every fifteen, after which it counts as cut off."""
NOTHING_MORE, UNAUTHORIZED = 204, 401


class DistantEngine(RemoteEngine):
    """Operations of an engine behind a server. The caller is whoever the token names.

    Args:
        client: With the server's URL as its base.
        place: How messages call the server.
    """

    def __init__(self, client: httpx.AsyncClient, place: str) -> None:
        super().__init__(place)
        self._client = client
        self._ids = itertools.count(1)
        self._reached = False

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:  # noqa: ARG002
        """Run an operation there. Errors as of `RemoteEngine`."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": operation, "params": params}
        route = "system" if operation.startswith("system.") else "tasks"
        async with self._telling():
            answer = await self._client.post(route, content=encode(request), headers={"Content-Type": "application/json"})
        told = _read(answer.content, answer.status_code, self.place)
        if "error" in told:
            raise _refusal(told["error"], answer.status_code, self.place)
        return told["result"]

    async def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on, to the end of its latest run. Errors as of `RemoteEngine`."""
        lagging, over = True, False
        while lagging:
            lagging = False
            async with self._telling(), self._stream(tree_id, after) as answer:
                if not answer.is_success:
                    told = _read(await answer.aread(), answer.status_code, self.place)
                    raise _refusal(told["error"], answer.status_code, self.place)
                async for kind, data in _messages(answer.aiter_lines()):
                    if kind == "lagged":
                        lagging = True
                        break
                    if kind == "failed":
                        raise as_error(data)
                    after = data["seq"]
                    if kind in ("tree_started", "tree_settled"):
                        over = kind == "tree_settled"
                    yield as_event(data)
                over = over or answer.status_code == NOTHING_MORE
        if not over:
            raise ConnectionLost(f"{self.place} ended the stream of tree {tree_id!r} before the tree has")

    def _stream(self, tree_id: str, after: int) -> Any:
        import httpx  # noqa: PLC0415 - it was loaded with the client

        timeout = httpx.Timeout(CONNECT, read=SILENCE)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        return self._client.stream("GET", f"tasks/{tree_id}/events", headers=headers, timeout=timeout)

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        import httpx  # noqa: PLC0415 - likewise

        try:
            yield
        except httpx.HTTPError as error:
            if self._reached:
                raise ConnectionLost(f"{self.place} cannot be reached any more: {_cause(error)}") from None
            raise StorageOwned(f"{self.place} cannot be reached: {_cause(error)}") from None
        self._reached = True


@asynccontextmanager
async def reached(url: str, token: str | None) -> AsyncIterator[DistantEngine]:
    """The engine behind a server.

    Args:
        url: Of the server, up to where its routes begin.
        token: Shown as the credential; None shows none.

    Raises:
        ConfigError: What speaks HTTP is not installed.
    """
    try:
        import httpx  # noqa: PLC0415 - for this alone
    except ImportError:
        raise ConfigError("a server is reached through httpx, which is not installed; apflow[client] brings it") from None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    timeout = httpx.Timeout(CONNECT, read=None)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False) as client:
        yield DistantEngine(client, url.rstrip("/"))


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The messages of a stream: what kind, and its data (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    kind, data = "message", list[str]()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield kind, json.loads("\n".join(data))
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _read(body: bytes, status: int, place: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not {"result", "error"} & told.keys():
        raise ApflowError(f"{place} answers with status {status}, and not as a server of apflow does")
    return told


def _refusal(told: Mapping[str, Any], status: int, place: str) -> ApflowError:
    if status == UNAUTHORIZED:
        return PermissionDenied(
            f"{place} refuses the credential: {told['message']} (APFLOW_TOKEN or the setting token names one)"
        )
    if (told.get("data") or {}).get("type") == "NoSuchPath":
        return ConfigError(f"url = {place!r}: there is a server, and nothing of apflow at this path")
    return as_error(told)


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
