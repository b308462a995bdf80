"""The executor of this plugin keeps the contract of all executors."""

from __future__ import annotations

import apflow_aggregate
from apflow.testing.executors import ExecutorContract


class TestAggregate(ExecutorContract):
    plugin = apflow_aggregate
    executor_id = "aggregate_results_executor"
    example = {"greeting": "hello", "answer": 42}
