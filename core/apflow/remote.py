"""An engine in another process; one of this user is reached through the Unix socket on which it serves its operations."""

from __future__ import annotations

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from apflow_hookspecs import ApflowError, Caller, Event, Json, Problem, as_instant, errors
from apflow_hookspecs.errors import StorageOwned, TooLarge

MAX_LINE = 256 * 1024 * 1024
GREETING = 10.0
"""Seconds in which an owner has to greet who connects; one that does not is out of reach."""


class ConnectionLost(ApflowError):
    """The process that owns the storage is gone."""


class RemoteEngine(ABC):
    """Operations of an engine in another process.

    Attributes:
        place: How messages call that process.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:
        """Run an operation there.

        Raises:
            ApflowError: What the operation refuses.
            ConnectionLost: The process is gone.
            TooLarge: The request has more bytes than it takes.
        """

    @abstractmethod
    def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on, to the end of its latest run. Errors as `call`."""


class NearEngine(RemoteEngine):
    """An engine in another process of this user, reached through its socket; the user of this machine is the caller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int | None) -> None:
        super().__init__(f"process {pid}")
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._gone = False
        self._reading = asyncio.get_running_loop().create_task(self._read(reader), name="apflow-remote")

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:  # noqa: ARG002
        """Run an operation there. The caller is always the user of this machine, whom the socket admits."""
        async for answer in self._request(operation, params):
            if "method" not in answer:
                return answer["result"]
        raise ConnectionLost

    async def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on, to the end of its latest run."""
        async for answer in self._request("watch", {"task_id": tree_id, "after": after}):
            if "method" not in answer:
                return
            yield as_event(answer["params"])

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
            request = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()
            if len(request) >= MAX_LINE:
                raise TooLarge(f"the request has {len(request):,} bytes, and another process takes less than {MAX_LINE:,}")
            self._writer.write(request + b"\n")
            await self._writer.drain()
            while (answer := await answers.get()) is not None:
                if "error" in answer:
                    raise as_error(answer["error"])
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
        except (ConnectionError, ValueError):  # cut off, also in the middle of a line
            pass
        finally:
            self._gone = True
            for answers in self._waiting.values():
                answers.put_nowait(None)


@asynccontextmanager
async def connected(owned: StorageOwned) -> AsyncIterator[NearEngine]:
    """The engine of the process that owns a storage.

    Raises:
        StorageOwned: It cannot be reached.
    """
    if owned.endpoint is None:
        raise owned
    try:
        reader, writer = await asyncio.open_unix_connection(owned.endpoint, limit=MAX_LINE)
    except OSError as error:
        raise _out_of_reach(owned, error.strerror or str(error)) from error
    try:
        engine = NearEngine(reader, writer, await _greeted(reader, owned))
        try:
            yield engine
        finally:
            await engine.close()
    finally:
        writer.close()


async def _greeted(reader: asyncio.StreamReader, owned: StorageOwned) -> int | None:
    """The owner's pid, as it greets."""
    try:
        async with asyncio.timeout(GREETING):
            hello = json.loads(await reader.readline())
        pid: int | None = hello["params"]["pid"]
    except TimeoutError:
        raise _out_of_reach(owned, "it does not answer") from None
    except (ConnectionError, ValueError, KeyError, TypeError):
        raise _out_of_reach(owned, "it does not let us in") from None
    return pid


def _out_of_reach(owned: StorageOwned, why: str) -> StorageOwned:
    message = f"{owned.message}; it cannot be reached through {owned.endpoint} ({why})"
    return StorageOwned(message, pid=owned.pid, endpoint=owned.endpoint)


def as_error(told: Mapping[str, Any]) -> ApflowError:
    """An error from its JSON form."""
    data = told.get("data") or {}
    error = _kind(told["code"], data.get("type", ""))(told["message"])
    error.problems = tuple(
        Problem(problem["rule"], problem["task"], problem["field"], _Shown(problem["value"]), problem["code"])
        for problem in data.get("problems", ())
    )
    return error


def _kind(code: int, name: str) -> type[ApflowError]:
    named = getattr(errors, name, None)
    if isinstance(named, type) and issubclass(named, ApflowError):
        return named
    return errors.BY_CODE.get(code, ApflowError)


class _Shown:
    """A problem's value as its owner spelt it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def as_event(told: Mapping[str, Any]) -> Event:
    """An event from its JSON form."""
    data = told["data"]
    if data is not None and isinstance(wait := data.get("wait"), Mapping):
        data = {**data, "wait": {**wait, "until": _instant(wait["until"])}}
    return Event(**{**told, "at": _instant(told["at"]), "data": data})


def _instant(text: str | None) -> int | None:
    return None if text is None else as_instant(datetime.fromisoformat(text))
