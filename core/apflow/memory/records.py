"""The record store of the in-memory storage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from heapq import heappop, heappush

from attrs import define, field

from apflow_hookspecs import Record, RecordWrite

_Key = tuple[str, str]


@define(eq=False)
class Records:
    """Records by (namespace, key); expired ones are as good as gone."""

    _records: dict[_Key, Record] = field(factory=dict)
    _expiries: list[tuple[int, _Key]] = field(factory=list)

    def __len__(self) -> int:
        return len(self._records)

    def get(self, namespace: str, key: str) -> Record | None:
        """One record, unless it has expired."""
        self._drop_expired()
        return self._records.get((namespace, key))

    def starting_with(self, namespace: str, prefix: str) -> list[Record]:
        """The records of a namespace whose key starts with `prefix`, by key."""
        self._drop_expired()
        found = [key for key in self._records if key[0] == namespace and key[1].startswith(prefix)]
        return [self._records[key] for key in sorted(found)]

    def stale(self, writes: Sequence[RecordWrite]) -> tuple[_Key, ...]:
        """Keys of the writes, done one after the other, that would not find the version they expect."""
        self._drop_expired()
        versions: dict[_Key, int] = {}
        stale = []
        for write in writes:
            key = (write.namespace, write.key)
            version = versions.get(key, self._version(key))
            if write.expected is not None and write.expected != version:
                stale.append(key)
            versions[key] = 0 if write.value is None else version + 1
        return tuple(stale)

    def write(self, write: RecordWrite) -> None:
        """Do a write that is not stale."""
        key = (write.namespace, write.key)
        if write.value is None:
            self._records.pop(key, None)
            return
        self._records[key] = Record(*key, write.value, self._version(key) + 1, write.expires_at)
        if write.expires_at is not None:
            heappush(self._expiries, (write.expires_at, key))

    def _version(self, key: _Key) -> int:
        record = self._records.get(key)
        return 0 if record is None else record.version

    def _drop_expired(self) -> None:
        now = time.time_ns() // 1000
        while self._expiries and self._expiries[0][0] < now:
            expired, key = heappop(self._expiries)
            record = self._records.get(key)
            if record is not None and record.expires_at == expired:
                del self._records[key]
