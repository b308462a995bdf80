"""Where a task names secrets: `{"$secret": "name"}`, as its author wrote it in inputs and params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from apflow_hookspecs import Json

FROM, LITERAL, SECRET = "$from", "$literal", "$secret"


def names_secret(value: Json) -> TypeGuard[dict[str, str]]:
    """Whether a value stands for a secret."""
    return isinstance(value, dict) and value.keys() == {SECRET} and isinstance(value[SECRET], str)


def find(field: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The secrets that a task's `inputs` or `params` name: where, as `inputs.headers.Authorization`, and the name.

    What is written in another form is left to the host, which refuses it.
    """
    open_values: list[tuple[str, Json]] = [(f"{field}.{name}", value) for name, value in given.items()]
    while open_values:
        place, value = open_values.pop()
        if isinstance(value, list):
            open_values.extend((f"{place}.{n}", item) for n, item in enumerate(value))
        elif names_secret(value):
            yield place, value[SECRET]
        elif isinstance(value, dict) and FROM not in value and value.keys() != {LITERAL}:
            open_values.extend((f"{place}.{name}", item) for name, item in value.items())
