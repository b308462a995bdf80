"""The kit for those who test plugins.

`engine_of` opens a whole engine in memory with the executors, policies and plugins that a test hands over, and nothing else.
`StorageContract` in `apflow.testing.storage` is the contract of a storage as tests.
"""

from apflow.testing.hosting import engine_of, host_of

__all__ = ["engine_of", "host_of"]
