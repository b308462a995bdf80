"""Idempotency: a request that bears a key is carried out once, also across a crash, and answered the same when it is repeated.

The key is stored in the transaction that carries the request out, per user and operation, with a digest of the request. It is
kept while the tree lives, and for a day at least. A refused request stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from weakref import WeakValueDictionary

import attrs
import msgspec
from attrs import frozen

from apflow.transitions import now
from apflow.values import decode, encode
from apflow_hookspecs import Batch, Caller, Json, Record, RecordWrite, Storage
from apflow_hookspecs.errors import IdempotencyConflict, NotFound

NAMESPACE = "idempotency"
LEAST = 24 * 3600 * 1_000_000
"""Microseconds for which a key is kept at least."""
NOT_OF_THE_REQUEST = frozenset({"idempotency_key", "wait"})
"""Parameters that do not make another request of it."""

_digest = msgspec.json.Encoder(order="sorted")


@frozen
class Claim:
    """A key that a request bears, while the request is carried out.

    Args:
        tree_id: Of the tree that came of it before; None where it is new.
        told: What was kept of that answer.
    """

    tree_id: str | None
    told: Mapping[str, Json]
    _place: str
    _digest: str
    _version: int

    def note(self, tree_id: str, told: Mapping[str, Json] | None = None) -> RecordWrite:
        """What has to be stored together with what is carried out.

        Args:
            tree_id: Of the tree that comes of it.
            told: What the tree will not tell of the answer.
        """
        value = {"digest": self._digest, "tree_id": tree_id, "at": now(), "told": told or {}}
        return RecordWrite(NAMESPACE, self._place, encode(value), self._version)


class Idempotency:
    """The keys of one engine.

    Args:
        storage: Where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def claim(self, caller: Caller, operation: str, params: Any) -> AsyncIterator[Claim | None]:
        """Carry out the request in the block: what bears the same key waits until that is stored.

        Args:
            caller: Whose request it is; each user has keys of its own.
            operation: Its name.
            params: Its structured parameters, with an `idempotency_key`; where that is None, so is the claim.

        Raises:
            IdempotencyConflict: The key was used for another request.
            NotFound: What came of it was deleted within the day.
        """
        if params.idempotency_key is None:
            yield None
            return
        place = sha256(encode([caller.user_id, operation, params.idempotency_key])).hexdigest()
        lock = self._locks.setdefault(place, asyncio.Lock())
        async with lock:
            record = await self._storage.record(NAMESPACE, place)
            yield await self._claimed(record, place, params)

    async def _claimed(self, record: Record | None, place: str, params: Any) -> Claim:
        given = attrs.asdict(params, filter=lambda field, _: field.name not in NOT_OF_THE_REQUEST)
        digest = sha256(_digest.encode(given)).hexdigest()
        if record is None:
            return Claim(None, {}, place, digest, 0)
        known = decode(record.value)
        there = await self._storage.existing([known["tree_id"]])
        if not there and now() - known["at"] >= LEAST:
            return Claim(None, {}, place, digest, record.version)
        if known["digest"] != digest:
            rule = f"was used for another request, which made or ran tree {known['tree_id']!r}"
            raise IdempotencyConflict(f"idempotency_key = {params.idempotency_key!r}: {rule}")
        if not there:
            rule = f"was used within the last day, for tree {known['tree_id']!r}, which was deleted since"
            raise NotFound(f"idempotency_key = {params.idempotency_key!r}: {rule}")
        return Claim(known["tree_id"], known["told"], place, digest, record.version)

    async def sweep(self) -> int:
        """Forget the keys whose trees are gone and whose day is over; how many that were."""
        swept = 0
        for part in range(256):  # places are hexadecimal, so this takes about as many at a time
            old = {}
            for record in await self._storage.records(NAMESPACE, f"{part:02x}"):
                known = decode(record.value)
                if now() - known["at"] >= LEAST:
                    old[record] = known["tree_id"]
            there = set(await self._storage.existing(list(old.values()))) if old else set()
            gone = [RecordWrite(NAMESPACE, record.key, None, record.version) for record, id in old.items() if id not in there]
            if gone and await self._storage.commit(Batch(records=gone)):
                swept += len(gone)
        return swept
