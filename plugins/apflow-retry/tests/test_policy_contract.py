"""The policy keeps the contract of all policies, with every option."""

from __future__ import annotations

import pytest

from apflow.testing import host_of
from apflow.testing.policies import PolicyContract
from apflow_retry import Retries


class TestRetry(PolicyContract):
    @pytest.fixture
    def policy(self):
        return host_of(plugins={"retry": Retries()}).policies["retry"]


class TestRetryWithOptions(TestRetry):
    options = {
        "max_attempts": 5,
        "backoff": "linear",
        "delay": 0.5,
        "max_delay": 10,
        "jitter": "equal",
        "on": ["timeout"],
        "retry_if": {"path": "/status", "one_of": [503]},
        "deadline": 3600,
    }
