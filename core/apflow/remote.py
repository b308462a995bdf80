"""An engine in another process, reached through the Unix socket on which it serves its operations."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from apflow_hookspecs import ApflowError, Caller, Event, Json, Problem, as_instant, errors
from apflow_hookspecs.errors import StorageOwned

MAX_LINE = 256 * 1024 * 1024


class ConnectionLost(ApflowError):
    """The process that owns the storage is gone."""


class RemoteEngine:
    """Operations of an engine in another process of this user; the user of this machine is the caller.

    Attributes:
        pid: The owner's.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int | None) -> None:
        self.pid = pid
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._gone = False
        self._reading = asyncio.get_running_loop().create_task(self._read(reader), name="apflow-remote")

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:  # noqa: ARG002
        """Run an operation there. The caller is always the user of this machine, whom the socket admits.

        Raises:
            ApflowError: What the operation refuses.
            ConnectionLost: The owner is gone.
        """
        async for answer in self._request(operation, params):
            if "method" not in answer:
                return answer["result"]
        raise ConnectionLost

    async def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on, to the end of its latest run. Errors as `call`."""
        async for answer in self._request("watch", {"task_id": tree_id, "after": after}):
            if "method" not in answer:
                return
            yield _event(answer["params"])

    async def close(self) -> None:
        """Leave."""
        self._reading.cancel()
        self._writer.close()

    async def _request(self, method: str, params: Any) -> AsyncGenerator[dict[str, Any], None]:
        request_id, answers = next(self._ids), asyncio.Queue[dict[str, Any] | None]()
        if self._gone:
            raise ConnectionLost
        self._waiting[request_id] = answers
        try:
            request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
            self._writer.write(json.dumps(request).encode() + b"\n")
            await self._writer.drain()
            while (answer := await answers.get()) is not None:
                if "error" in answer:
                    raise _error(answer["error"])
                yield answer
                if "method" not in answer:
                    return
        except ConnectionError:
            pass
        finally:
            del self._waiting[request_id]
        raise ConnectionLost

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message.get("id") in self._waiting:
                    self._waiting[message["id"]].put_nowait(message)
        except ConnectionError:
            pass
        finally:
            self._gone = True
            for answers in self._waiting.values():
                answers.put_nowait(None)


@asynccontextmanager
async def connected(owned: StorageOwned) -> AsyncIterator[RemoteEngine]:
    """The engine of the process that owns a storage.

    Raises:
        StorageOwned: It cannot be reached.
    """
    if owned.endpoint is None:
        raise owned
    try:
        reader, writer = await asyncio.open_unix_connection(owned.endpoint, limit=MAX_LINE)
    except OSError as error:
        message = f"{owned.message}; it cannot be reached through {owned.endpoint} ({error.strerror})"
        raise StorageOwned(message, pid=owned.pid) from error
    engine = RemoteEngine(reader, writer, owned.pid)
    try:
        yield engine
    finally:
        await engine.close()


def _error(told: Mapping[str, Any]) -> ApflowError:
    data = told.get("data") or {}
    problems = tuple(
        Problem(problem["rule"], problem["task"], problem["field"], _Shown(problem["value"]), problem["code"])
        for problem in data.get("problems", ())
    )
    named = getattr(errors, data.get("type", ""), None)
    kind = (
        named if isinstance(named, type) and issubclass(named, ApflowError) else errors.BY_CODE.get(told["code"], ApflowError)
    )
    error = kind(told["message"])
    error.problems = problems
    return error


class _Shown:
    """A problem's value as its owner spelt it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _event(told: Mapping[str, Any]) -> Event:
    from datetime import datetime  # noqa: PLC0415 - with the first event

    at = as_instant(datetime.fromisoformat(told["at"]))
    return Event(**{**told, "at": at})
