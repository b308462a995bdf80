"""Which circuit a task belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from apflow_hookspecs import Json, TaskContext

LONGEST = 200
"""Characters of a name up to which it can be read as it is."""


def circuit_of(context: TaskContext, key: str | None) -> str:
    """The name of a task's circuit: its executor, and the key as JSON where there is one."""
    name = str(context.task.executor)
    if key is not None:
        name = f"{name} {json.dumps([key, _value(context, key)], ensure_ascii=False, sort_keys=True)}"
    return name if len(name) <= LONGEST else f"{context.task.executor} {sha256(name.encode()).hexdigest()}"


def _value(context: TaskContext, key: str) -> Json:
    if key == "user":
        return context.user_id
    value = _part(context.inputs, key)
    return _host(value) if isinstance(value, str) else value


def _part(value: Json, pointer: str) -> Json:
    """What stands at a JSON Pointer (RFC 6901); null where there is nothing."""
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _host(text: str) -> str:
    """Of a URL its host and port, without a password; any other text as it is."""
    if "://" not in text:
        return text
    try:
        return urlsplit(text).netloc.rpartition("@")[2].lower()
    except ValueError:  # no URL after all
        return text
