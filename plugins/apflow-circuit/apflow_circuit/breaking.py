"""The policy `circuit`: what it does around an attempt.

Tasks of one executor share a circuit, or those of them with one key. Failures one after the other open it: then nothing is
tried. After a time it is half open: a few probes try, and the first end of one closes or opens it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from apflow_circuit.circuit import SECOND, Circuit
from apflow_circuit.failures import is_failure
from apflow_circuit.kept import Circuits
from apflow_circuit.keys import circuit_of
from apflow_circuit.options import Options
from apflow_hookspecs import CallNext, Engine, Json, Policy, TaskContext, TaskFailed, Wait, rfc3339

LEASE = 300.0
"""Seconds for which a probe is waited for whose task has no `timeout`; its process may have died."""


class Breaking:
    """The circuits of one host."""

    _circuits: Circuits

    def begin(self, engine: Engine) -> None:
        """Keep the circuits in the engine's storage."""
        self._circuits = Circuits(engine.storage)

    @property
    def policy(self) -> Policy:
        """The policy."""
        summary = "Stop trying for a while what keeps failing"
        return Policy("circuit", self.around, options=Options, order=300, summary=summary)

    async def around(self, call_next: CallNext, context: TaskContext, options: Options) -> Json | Wait:
        """Let an attempt pass, unless its circuit is open, and note how it ended."""
        attempt = _Attempt(self._circuits, context, options)
        until = await attempt.enter()
        if until is not None:
            return attempt.refused(until)
        try:
            result = await call_next()
        except BaseException as error:
            await (attempt.failed() if is_failure(error, options) else attempt.left())
            raise
        await (attempt.left() if isinstance(result, Wait) else attempt.succeeded())
        return result


class _Attempt:
    """An attempt before its circuit."""

    def __init__(self, circuits: Circuits, context: TaskContext, options: Options) -> None:
        self._circuits = circuits
        self._options = options
        self._name = circuit_of(context, options.key)
        # The same after a restart, so that a probe that was cut off goes on as one.
        self._ticket = f"{context.idempotency_key}:{context.attempt}"
        self._lease = round((context.task.timeout or LEASE) * SECOND)

    async def enter(self) -> int | None:
        """Take part, as a probe where one is wanted; the instant up to which that is refused, else None."""
        at = _now()
        circuit = await self._edit(lambda circuit: circuit.entered(self._ticket, at, self._lease, self._options))
        return circuit.refused_until(self._ticket, at, self._options)

    def refused(self, until: int) -> Wait:
        """What becomes of the task.

        Raises:
            TaskFailed: It is not to wait (`circuit_open`).
        """
        if self._options.when_open == "wait":
            return Wait.until(until)
        seconds = max(until - _now(), 0) / SECOND
        raise TaskFailed(
            f"the circuit of {self._name} is open: it failed too often, and is tried again in {seconds:.3g} s",
            error="circuit_open",
            details={"circuit": self._name, "until": rfc3339(until)},
            retry_after=seconds,
        )

    async def failed(self) -> None:
        """It counts against what the circuit guards."""
        at = _now()
        await self._edit(lambda circuit: circuit.failed(self._ticket, at, self._options))

    async def succeeded(self) -> None:
        """What the circuit guards works."""
        await self._edit(lambda circuit: circuit.succeeded(self._ticket))

    async def left(self) -> None:
        """It ended without saying anything of what the circuit guards."""
        await self._edit(lambda circuit: circuit.left(self._ticket))

    async def _edit(self, edit: Callable[[Circuit], Circuit]) -> Circuit:
        return await self._circuits.edit(self._name, edit, self._options)


def _now() -> int:
    return time.time_ns() // 1000
