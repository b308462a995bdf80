"""An example tree for a first look: `apflow serve --demo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from apflow_hookspecs import Caller, Engine
from apflow_hookspecs.errors import ConfigError

_TREE: list[dict[str, Any]] = [
    {"id": "report", "executor": "aggregate_results_executor", "dependencies": ["memory", "disk", "processor"]},
    {"id": "memory", "parent_id": "report", "executor": "system_info_executor", "inputs": {"resource": "memory"}},
    {"id": "disk", "parent_id": "report", "executor": "system_info_executor", "inputs": {"resource": "disk"}},
    {"id": "processor", "parent_id": "report", "executor": "system_info_executor", "inputs": {"resource": "cpu"}},
]


async def demonstrated(engine: Engine) -> str:
    """Create the example tree and ask for its execution; its id.

    Raises:
        ConfigError: An executor that it needs is not installed.
    """
    missing = sorted({task["executor"] for task in _TREE} - engine.executors.keys())
    if missing:
        raise ConfigError(f"the demo needs {' and '.join(missing)}, of the plugins apflow-stdio and apflow-aggregate")
    made = await engine.call("tasks.create", {"tasks": _TREE, "fresh_ids": True, "execute": True}, Caller.local())
    return cast("str", made["id"])


def to_try(url: str, tree_id: str, *, secured: bool) -> Iterator[str]:
    """Commands that show what there is."""
    curl = 'curl -H "Authorization: Bearer $APFLOW_TOKEN"' if secured else "curl"
    yield f"{curl} {url}/tasks/{tree_id}/tree"
    yield f"{curl} -N {url}/tasks/{tree_id}/events"
    yield f'{curl} -X POST {url}/tasks -d \'{{"method": "tasks.copy", "params": {{"task_id": "{tree_id}", "execute": true}}}}\''
