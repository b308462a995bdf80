"""What is known of a task's inputs: references, secrets and results that are still to come leave places open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apflow_hookspecs import Json, Task

FROM, LITERAL, SECRET = "$from", "$literal", "$secret"


class Unknown:
    """The value of a place that is still open."""

    def __repr__(self) -> str:
        return "…"


UNKNOWN = Unknown()


class Open(dict[str, Any]):
    """An object that may get further names: each counts as there, with an unknown value, and is not listed.

    Args:
        known: What it holds for certain.
        more: The names that may come.
    """

    def __init__(self, known: Mapping[str, Any], more: Iterable[str]) -> None:
        super().__init__(known)
        self.more = frozenset(more)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.more

    def __missing__(self, name: str) -> Unknown:
        if name in self.more:
            return UNKNOWN
        raise KeyError(name)


def expected(task: Task) -> Json:
    """The inputs of a task before it runs: what its author wrote, open where something else will stand."""
    inputs = {name: _written(value) for name, value in task.inputs.items()}
    more = {dependency.key for dependency in task.dependencies} - inputs.keys()
    return Open(inputs, more) if more else inputs


def unsealed(written: Any, resolved: Any) -> Any:
    """The resolved inputs of an attempt, open where the author named a secret."""
    if isinstance(written, Mapping) and isinstance(resolved, dict):
        if SECRET in written:
            return UNKNOWN if resolved == written else resolved
        if FROM in written or written.keys() == {LITERAL}:
            return resolved
        return {name: unsealed(written.get(name), value) for name, value in resolved.items()}
    if isinstance(written, list) and isinstance(resolved, list) and len(written) == len(resolved):
        return [unsealed(*both) for both in zip(written, resolved, strict=True)]
    return resolved


def holds_unknown(value: Any) -> bool:
    """Whether a value, or something in it, is still open."""
    return value is UNKNOWN or isinstance(value, Open) or any(map(holds_unknown, _parts(value)))


def holds_more_than(bound: int, value: Any) -> bool:
    """Whether a value has more parts than `bound`; no more than these are looked at."""
    levels = [iter((value,))]
    while levels and bound >= 0:
        for part in levels[-1]:
            bound -= 1
            levels.append(iter(_parts(part)))
            break
        else:
            levels.pop()
    return bound < 0


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    if FROM in value or SECRET in value:
        return UNKNOWN
    if value.keys() == {LITERAL}:
        return value[LITERAL]
    return {name: _written(item) for name, item in value.items()}
