"""The executor keeps the contract of all executors."""

from __future__ import annotations

import pytest

from apflow.testing import engine_of
from apflow.testing.executors import GRACE, ExecutorContract
from apflow_guard import Guard
from apflow_http import Http, Options, RestExecutor

from .conftest import json_answer


class TestRest(ExecutorContract):
    plugin = Http()
    executor_id = "rest_executor"
    refused = {
        "url": {},
        "method": {"url": "https://example.org", "method": "FETCH"},
        "header": {"url": "https://example.org", "header": {}},
        "guard.unverified": {"url": "https://example.org", "verify": False},
    }

    @pytest.fixture
    async def executor(self, guard, tmp_path):
        executor = RestExecutor(Options(root=str(tmp_path)), Guard(guard))
        yield executor
        await executor.aclose()

    @pytest.fixture(autouse=True)
    def _served(self, server, guard, tmp_path):
        server.answers["/"] = json_answer("{}")
        server.unending["/slow"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbe"
        self.sections = {"guard": {"allow": guard.allow}, "http": {"root": str(tmp_path)}}
        self.example = {"url": server.origin, "save_to": "a/b.json"}
        self.lasting = {"url": f"{server.origin}/slow"}

    def opened(self):
        return engine_of(plugins={"tested": self.plugin}, cancel_grace=GRACE, sections=self.sections)

    async def test_at_whatever_await_it_is_cancelled_it_leaves_nothing_behind(self, executor, tmp_path):
        await super().test_at_whatever_await_it_is_cancelled_it_leaves_nothing_behind(executor)
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["a/b.json"]
