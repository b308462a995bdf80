"""The kit for those who test plugins.

`engine_of` opens a whole engine in memory with the executors, policies and plugins that a test hands over, and nothing else.
`StorageContract` in `apflow.testing.storage` is the contract of a storage as tests, `ExecutorContract` in
`apflow.testing.executors` that of an executor, and `VirtualClock` in `apflow.testing.clock` lets hours pass in no time.
`python -m apflow.testing.kill` kills engines at random and checks what they leave.
"""

import sys

_CONTRACTS = ("executors", "policies", "storage", "storage_commits", "storage_model", "storage_reads", "storage_records")

if "pytest" in sys.modules:
    # Their assertions tell as much as those of the tests that inherit from them.
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{module}" for module in _CONTRACTS))

from apflow.testing.hosting import engine_of, host_of  # noqa: E402 - what it imports is to be rewritten

__all__ = ["engine_of", "host_of"]
