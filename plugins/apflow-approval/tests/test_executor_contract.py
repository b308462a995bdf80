"""The executors of this plugin keep the contract of all executors."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from attrs import define

import apflow_approval
from apflow.testing import engine_of
from apflow.testing.executors import GRACE, ExecutorContract
from apflow_hookspecs import Caller, Engine, Event, hookimpl


@define
class Approver:
    """Approves whatever is asked, as a plugin."""

    engine: Engine | None = None

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        self.engine = engine

    @hookimpl
    async def apflow_event(self, event: Event) -> None:
        if event.type == "task_waiting" and self.engine is not None:
            await self.engine.call("tasks.answer", {"task_id": event.task_id, "answer": "approve"}, Caller.local())


class TestApproval(ExecutorContract):
    plugin = apflow_approval
    executor_id = "approval_executor"
    example = {"prompt": "Sure?"}
    refused = {
        "prompt": {"prompt": 7},
        "choices": {"prompt": "Sure?", "choices": []},
        "schema": {"prompt": "Sure?", "choices": ["a"], "schema": {"type": "string"}},
        "deadline": {"prompt": "Sure?", "deadline": "2031-05-06T12:00:00"},
        "on_reject": {"prompt": "Sure?", "on_reject": "shrug"},
        "promt": {"prompt": "Sure?", "promt": "Sure?"},
    }

    def opened(self) -> AbstractAsyncContextManager[Engine]:
        return engine_of(plugins={"tested": self.plugin, "approver": Approver()}, cancel_grace=GRACE)


class TestSleep(ExecutorContract):
    plugin = apflow_approval
    executor_id = "sleep_executor"
    example = {"seconds": 0}
    refused = {
        "seconds": {"seconds": -1},
        "until": {"until": "tomorrow"},
        "second": {"second": 1},
        "is needed": {},
    }
    lasting = {"seconds": 3600}
