"""Results as they are kept: which tasks are equal, and what is stored of what they came to."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from hashlib import sha256

from attrs import frozen

from apflow_cache.options import Options
from apflow_hookspecs import Batch, Caller, Engine, Json, RecordWrite, TaskContext
from apflow_hookspecs.errors import StorageUnavailable

log = logging.getLogger("apflow.cache")

NAMESPACE = "cache"
FORMAT = 1
"""Of keys and records; another one leaves what was kept behind."""


@frozen
class Kept:
    """A result that is kept.

    Args:
        text: The result as JSON.
        at: Instant at which it was there.
        task_id: Whose it was.
    """

    text: str
    at: int
    task_id: str

    @property
    def result(self) -> Json:
        """The result, a new one each time."""
        return json.loads(self.text)


class Results:
    """The results in a storage.

    Args:
        engine: Whose storage.
        largest: Bytes that a result may take.
    """

    def __init__(self, engine: Engine, largest: int) -> None:
        self._engine = engine
        self._largest = largest
        self._providers: Mapping[str, Json] | None = None

    async def key(self, context: TaskContext, options: Options) -> str:
        """What equal tasks have in common, as a digest."""
        if self._providers is None:  # only now: to describe every executor takes time, and few processes use a cache
            self._providers = await providers(self._engine)
        task = context.task
        same = {
            "format": FORMAT,
            "executor": [task.executor, self._providers.get(task.executor or "")],
            "inputs": dict(context.inputs),
            "params": dict(task.params),
            "version": options.version,
            "scope": "all" if options.scope == "all" else [context.user_id],
            "origin": context.origin,
        }
        return sha256(json.dumps(same, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    async def read(self, key: str, ttl: float) -> Kept | None:
        """What is kept under a key, unless it is older than some seconds."""
        try:
            record = await self._engine.storage.record(NAMESPACE, key)
        except StorageUnavailable as error:
            log.warning("the cache could not be read: %s", error, extra={"cache_key": key})
            return None
        if record is None:
            return None
        kept = Kept(**json.loads(record.value))
        return kept if kept.at + _microseconds(ttl) > _now() else None

    async def write(self, key: str, kept: Kept, ttl: float) -> None:
        """Keep a result for some seconds, where it is not too large."""
        if len(kept.text.encode()) > self._largest:
            log.debug("a result is too large to be kept", extra={"cache_key": key, "task_id": kept.task_id})
            return
        value = json.dumps({"text": kept.text, "at": kept.at, "task_id": kept.task_id}).encode()
        record = RecordWrite(NAMESPACE, key, value, expires_at=kept.at + _microseconds(ttl))
        try:
            await self._engine.storage.commit(Batch(records=[record]))
        except StorageUnavailable as error:
            log.warning("the cache could not be written: %s", error, extra={"cache_key": key})


def kept(result: Json, task_id: str) -> Kept | None:
    """A result to keep; None where JSON would give back another one than the executor returned."""
    try:
        text = json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None
    return Kept(text, _now(), task_id) if json.loads(text) == result else None


async def providers(engine: Engine) -> Mapping[str, Json]:
    """The distribution and version that provide each executor, by the executor's id."""
    local = Caller.local()
    plugins = (await engine.call("system.plugins", {}, local))["plugins"]
    executors = (await engine.call("system.executors", {}, local))["executors"]
    versions = {plugin["name"]: [plugin["distribution"], plugin["version"]] for plugin in plugins}
    return {executor["id"]: versions.get(executor["plugin"]) for executor in executors}


def _now() -> int:
    return time.time_ns() // 1000


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
