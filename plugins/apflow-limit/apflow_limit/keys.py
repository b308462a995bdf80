"""For whom a limit counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from urllib.parse import urlsplit

from apflow_hookspecs import Json, TaskContext


def counted_for(context: TaskContext, key: str) -> str:
    """Names, for people and as a key, what shares a limit with an attempt."""
    if key == "user":
        return "nobody's tasks" if context.user_id is None else f"the tasks of {context.user_id!r}"
    executor = f"executor {context.task.executor!r}"
    if key == "executor":
        return executor
    steps = (step.replace("~1", "/").replace("~0", "~") for step in key.split("/")[1:])
    value: Json = reduce(_inside, steps, context.inputs)
    known = urlsplit(value).hostname if _is_url(value) else None
    return f"{executor} with {key} = {known or json.dumps(value, sort_keys=True)}"


def _inside(value: Json, step: str) -> Json:
    """What has a name in a value (RFC 6901); null where there is nothing."""
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list):
        return next((item for n, item in enumerate(value) if str(n) == step), None)
    return None


def _is_url(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://", "ws://", "wss://"))
