from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from apflow_aggregate import AggregateResults
from apflow_hookspecs import Task, TaskContext


@pytest.fixture
def aggregate():
    """Run one attempt, with results of dependencies, the author's inputs, and what a hook added to them."""

    async def run(
        results: Mapping[str, Any], inputs: Mapping[str, Any] | None = None, added: Mapping[str, Any] | None = None
    ) -> Any:
        task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor=AggregateResults.id, inputs=inputs or {})
        resolved = {**(inputs or {}), **(added or {})}
        return await AggregateResults().execute(resolved, TaskContext(task=task, results=results))

    return run
