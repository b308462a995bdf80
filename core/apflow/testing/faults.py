"""What may befall an engine: a storage that fails, a process that dies at a given call, a caller who is cancelled at any await.

A storage of a test's own is handed to an engine with `lent`:

    storage = MemoryStorage()
    async with engine_of(noop, **lent(Tripwire(storage, 3, fail_once))) as engine: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable
from typing import Any, TypeVar, cast

from attrs import frozen

from apflow_hookspecs import Storage, StorageOptions, StorageScheme, hookimpl
from apflow_hookspecs.errors import StorageBroken, StorageUnavailable

T = TypeVar("T")

COMMITS = frozenset({"commit"})
CALLS = frozenset(
    {"commit", "acquire", "release", "task", "tree", "children", "find", "count", "open_trees", "events", "attempts"}
)


class Tripwire:
    """A storage around another, where something happens at the n-th call.

    Args:
        storage: The other one.
        at: Number of the call, from 1.
        trip: What happens: it may raise, or end the process.
        after: Whether the call is made first.
        calls: Names of the calls that count.
    """

    def __init__(
        self, storage: Storage, at: int, trip: Callable[[], None], *, after: bool = False, calls: Collection[str] = COMMITS
    ) -> None:
        self.calls = 0
        """How many there were."""
        self._storage = storage
        self._at = at
        self._trip = trip
        self._after = after
        self._counted = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if name not in self._counted:
            return method

        async def counted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            due = self.calls == self._at
            if due and not self._after:
                self._trip()
            answer = await method(*args, **options)
            if due and self._after:
                self._trip()
            return answer

        return counted


def fail_once() -> None:
    """The call fails, as with a full disk; the next is welcome again.

    Raises:
        StorageUnavailable: Always.
    """
    raise StorageUnavailable("no space is left on the device")


class Lifeline:
    """The way of one engine to a storage that outlives it. Once it is cut, nothing of that engine reaches the storage.

    To let an engine die as with its process, cut its lifeline, and leave its block: it cleans up in memory only.

        lifeline = Lifeline(storage)
        async with engine_of(noop, **lent(lifeline)) as engine:
            ...
            lifeline.cut()
    """

    def __init__(self, storage: Storage) -> None:
        self.is_cut = False
        self._storage = storage

    def cut(self) -> None:
        """From now on every call fails."""
        self.is_cut = True

    def die(self) -> None:
        """Cut it, and fail: to be called by a `Tripwire`.

        Raises:
            StorageBroken: Always.
        """
        self.cut()
        raise StorageBroken("its process is dead")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if not callable(method):
            return method

        async def call(*args: Any, **options: Any) -> Any:
            if self.is_cut:
                raise StorageBroken("its process is dead")
            return await method(*args, **options)

        return call

    async def close(self) -> None:
        """The storage outlives it."""


def lent(storage: object) -> dict[str, Any]:
    """A storage as arguments of `engine_of`; it is the caller's, who closes it."""
    return {"url": "lent:", "plugins": {"lent": Lent(cast("Storage", storage))}}


@frozen
class Lent:
    """A plugin that provides one storage under the scheme `lent`."""

    storage: Storage

    @hookimpl
    def apflow_storages(self) -> Iterable[StorageScheme]:
        """The storage."""

        async def open_lent(url: str, options: StorageOptions) -> Storage:  # noqa: ARG001 - every scheme is opened so
            return cast("Storage", Uncloseable(self.storage))

        yield StorageScheme("lent", open_lent)


class Uncloseable:
    """A storage that its borrower cannot close."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def close(self) -> None:
        """Nothing."""


class CancelledAt(Coroutine[Any, Any, T]):
    """A coroutine whose task is cancelled while it waits for the k-th time.

        task = asyncio.ensure_future(CancelledAt(engine.manager.cancel("root"), 3))

    Args:
        coroutine: What waits.
        k: Which await, from 1.
        late: Cancel when what it waits for has come and it has not gone on yet, instead of at once.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], k: int, *, late: bool = False) -> None:
        self.awaits = 0
        """How often it has waited."""
        self._coroutine = coroutine
        self._k = k
        self._late = late

    def send(self, value: Any) -> Any:
        """Go on to the next await."""
        return self._waiting(self._coroutine.send(value))

    def throw(self, *error: Any) -> Any:
        """Likewise, with an exception."""
        return self._waiting(self._coroutine.throw(*error))

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def _waiting(self, future: Any) -> Any:
        self.awaits += 1
        task = asyncio.current_task()
        if self.awaits == self._k and task is not None:
            if self._late and isinstance(future, asyncio.Future):
                future.add_done_callback(lambda _: task.cancel())
            else:
                task.get_loop().call_soon(task.cancel)
        return future
