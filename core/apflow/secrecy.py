"""Secrets: named where an author put them, resolved for one attempt, and kept out of all that is stored or shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from apflow.host import Host
from apflow.known import missing_secrets
from apflow.redaction import SHORTEST, Redaction
from apflow.references import SecretReference, find_secrets
from apflow.values import copied
from apflow_hookspecs import Json, Task, TaskContext, TaskFailed


class Secrecy:
    """The secrets of one engine's tasks.

    Args:
        host: Its plugins know them.
    """

    def __init__(self, host: Host) -> None:
        self.redaction = Redaction()
        self._host = host

    async def reveal(
        self, task: Task, inputs: dict[str, Any], context: TaskContext
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """The inputs and params of an attempt with the values of the secrets that they name.

        Args:
            task: As its author wrote it, which tells where secrets are named: what arrived otherwise is data.
            inputs: With references resolved, and as hooks left them.
            context: Of the attempt.

        Raises:
            TaskFailed: A secret is refused, unknown, or too short to be kept out of what is stored (`denied`).
        """
        in_inputs, in_params = list(find_secrets(task.inputs)), list(find_secrets(task.params))
        values = {}
        for found in chain(in_inputs, in_params):
            if found.name not in values:
                values[found.name] = await self._value(found.name, task, context)
        return _filled(inputs, in_inputs, values), _filled(task.params, in_params, values)

    async def _value(self, name: str, task: Task, context: TaskContext) -> str:
        value = await self._host.resolve_secret(name, task, context)
        if value is None:
            reason = "no plugin knows it" if self._host.gives_secrets else missing_secrets(self._host)
            raise TaskFailed(f"there is no secret {name!r}: {reason}", error="denied")
        if len(value) < SHORTEST:
            rule = f"has fewer than {SHORTEST} characters, and could not be kept out of what is stored"
            raise TaskFailed(f"the secret {name!r} {rule}", error="denied")
        self.redaction.add(value)
        return value


def _filled(given: Mapping[str, Any], named: Sequence[SecretReference], values: Mapping[str, str]) -> dict[str, Any]:
    """A copy with the values in place of the secrets that are still named where their author named them."""
    filled: dict[str, Any] = copied(dict(given))
    for found in named:
        holder = _at(filled, found.path[:-1])
        step = found.path[-1]
        if _part(holder, step) == found.written:
            holder[step] = values[found.name]
    return filled


def _at(value: Json, path: Iterable[str | int]) -> Json:
    for step in path:
        value = _part(value, step)
    return value


def _part(value: Json, step: str | int) -> Json:
    if isinstance(value, dict):
        return value.get(str(step))
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
