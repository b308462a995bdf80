"""A circuit: closed, open or half open. Nothing here knows of time or of a storage; instants and tickets are handed in."""

from __future__ import annotations

import json
from collections.abc import Mapping

from attrs import asdict, evolve, frozen

from apflow_circuit.options import Options
from apflow_hookspecs import EMPTY

SECOND = 1_000_000
DAY = 86_400 * SECOND


@frozen
class Circuit:
    """The state of a circuit; half open is what an open one becomes by itself.

    Args:
        failures: Instants of the failures that count, while it is closed.
        opened: Instant at which it was opened; None is closed.
        probes: Tickets of the attempts that try whether it can be closed, and the instants up to which they are waited for.
    """

    failures: tuple[int, ...] = ()
    opened: int | None = None
    probes: Mapping[str, int] = EMPTY

    def entered(self, ticket: str, at: int, lease: int, options: Options) -> Circuit:
        """With one more probe where it is half open and has room for it; else as it is."""
        if self.opened is None or at < self._half_open_at(self.opened, options):
            return self
        alive = self._alive(at)
        if ticket not in alive and len(alive) >= options.probes:
            return self
        return evolve(self, probes={**alive, ticket: at + lease})

    def refused_until(self, ticket: str, at: int, options: Options) -> int | None:
        """When an attempt may ask again that may not go on now; None where it may."""
        if self.opened is None or ticket in self.probes:
            return None
        half_open_at = self._half_open_at(self.opened, options)
        if at < half_open_at:
            return half_open_at
        soon = min(options.reset_after, max(options.reset_after / 10, 1.0))  # a probe may close it at any moment
        return min([at + round(soon * SECOND), *self._alive(at).values()])

    def failed(self, ticket: str, at: int, options: Options) -> Circuit:
        """After a failure: open, where it was a probe's, or one too many."""
        if self.opened is not None:
            return Circuit(opened=at) if ticket in self.probes else self
        since = at - round(options.window * SECOND)
        failures = (*(earlier for earlier in self.failures if earlier > since), at)
        return Circuit(opened=at) if len(failures) >= options.failures else Circuit(failures)

    def succeeded(self, ticket: str) -> Circuit:
        """After a success: closed, unless it began before the circuit was opened."""
        return Circuit() if self.opened is None or ticket in self.probes else self

    def left(self, ticket: str) -> Circuit:
        """Without a probe that came to nothing."""
        return evolve(self, probes={other: until for other, until in self.probes.items() if other != ticket})

    def expires_at(self, options: Options) -> int:
        """Instant from which it may be forgotten."""
        if self.opened is None:
            return max(self.failures, default=0) + round(options.window * SECOND)
        return max(self._half_open_at(self.opened, options), *self.probes.values(), 0) + DAY

    def as_json(self) -> bytes:
        """As it is stored."""
        return json.dumps(asdict(self, recurse=False) | {"probes": dict(self.probes)}).encode()

    @classmethod
    def from_json(cls, stored: bytes) -> Circuit:
        """What `as_json` made."""
        told = json.loads(stored)
        return cls(tuple(told["failures"]), told["opened"], told["probes"])

    def _alive(self, at: int) -> dict[str, int]:
        return {ticket: until for ticket, until in self.probes.items() if until > at}

    @staticmethod
    def _half_open_at(opened: int, options: Options) -> int:
        return opened + round(options.reset_after * SECOND)
