"""The circuits of a host, in the records of its storage."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from apflow_circuit.circuit import SECOND, Circuit
from apflow_circuit.options import Options
from apflow_hookspecs import Batch, RecordWrite, Storage
from apflow_hookspecs.errors import StorageUnavailable

log = logging.getLogger("apflow.circuit")

NAMESPACE = "circuit"
FRESH = 1 * SECOND
"""For so long a circuit is taken to be as it was seen: another process may change it."""
MOST_SEEN = 10_000

Edit = Callable[[Circuit], Circuit]


class Circuits:
    """Reads circuits, and changes them by compare-and-set.

    An edit that changes nothing writes nothing. While the storage cannot be used, circuits go on as they were seen last.

    Args:
        storage: Where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: dict[str, tuple[int, Circuit]] = {}
        self._changing = asyncio.Lock()

    async def edit(self, name: str, edit: Edit, options: Options) -> Circuit:
        """A circuit as an edit leaves it."""
        try:
            circuit = await self._current(name)
            return circuit if edit(circuit) == circuit else await self._write(name, edit, options)
        except StorageUnavailable as error:
            log.warning("the circuit %s could not be stored: %s", name, error)
            return self._see(name, edit(self._seen.get(name, (0, Circuit()))[1]))

    async def _current(self, name: str) -> Circuit:
        at, circuit = self._seen.get(name, (0, Circuit()))
        if not 0 <= time.time_ns() // 1000 - at < FRESH:
            circuit = (await self._read(name))[0]
        return circuit

    async def _read(self, name: str) -> tuple[Circuit, int]:
        record = await self._storage.record(NAMESPACE, name)
        circuit = Circuit() if record is None else Circuit.from_json(record.value)
        return self._see(name, circuit), 0 if record is None else record.version

    async def _write(self, name: str, edit: Edit, options: Options) -> Circuit:
        async with self._changing:
            while True:
                before, version = await self._read(name)
                after = edit(before)
                if after == before or await self._storage.commit(Batch([_written(name, after, version, options)])):
                    return self._see(name, after)

    def _see(self, name: str, circuit: Circuit) -> Circuit:
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[name] = time.time_ns() // 1000, circuit
        return circuit


def _written(name: str, circuit: Circuit, version: int, options: Options) -> RecordWrite:
    if circuit == Circuit():
        return RecordWrite(NAMESPACE, name, None, version)
    return RecordWrite(NAMESPACE, name, circuit.as_json(), version, circuit.expires_at(options))
