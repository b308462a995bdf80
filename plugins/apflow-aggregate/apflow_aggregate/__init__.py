"""An executor that gathers the results of the tasks that a task depends on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apflow_hookspecs import ExecutableTask, Json, TaskContext, hookimpl, rfc3339

NAMED = 10
"""Results that the summary names at most."""


class AggregateResults:
    """Gathers results: of dependencies from the context, of others from the inputs."""

    id = "aggregate_results_executor"
    summary = "Gather the results of the tasks that this one depends on"
    input_schema = {"type": "object", "description": "Further results by name, beside those of the dependencies"}
    output_schema = {
        "type": "object",
        "required": ["summary", "timestamp", "results", "result_count"],
        "properties": {
            "summary": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "results": {"type": "object"},
            "result_count": {"type": "integer", "minimum": 0},
        },
    }

    async def execute(self, inputs: dict[str, Any], context: TaskContext | None = None) -> Json:
        """Gather, dependencies first; without a context the inputs are all there is."""
        results = _gathered(inputs, context)
        return {
            "summary": _summary(results),
            "timestamp": rfc3339(time.time_ns() // 1000),
            "results": results,
            "result_count": len(results),
        }


def _gathered(inputs: Mapping[str, Any], context: TaskContext | None) -> dict[str, Json]:
    arrived: Mapping[str, Json] = {} if context is None else context.results
    written: Iterable[str] = () if context is None else context.task.inputs
    # Under the key of a dependency, what the author wrote wins: they may have picked a part of it.
    own = {name: value for name, value in inputs.items() if name in written or (name not in arrived and "." not in name)}
    return {**arrived, **own}


def _summary(results: Mapping[str, Json]) -> str:
    if not results:
        return "No results"
    count = "1 result" if len(results) == 1 else f"{len(results)} results"
    more = f" and {len(results) - NAMED} more" if len(results) > NAMED else ""
    return f"{count}: {', '.join(list(results)[:NAMED])}{more}"


@hookimpl
def apflow_executors() -> Iterator[ExecutableTask]:
    """Provide the executor."""
    yield AggregateResults()
