"""The executors of this plugin keep the contract of all executors."""

from __future__ import annotations

import sys

import apflow_stdio
from apflow.testing.executors import ExecutorContract


class TestCommand(ExecutorContract):
    plugin = apflow_stdio
    executor_id = "command_executor"
    example = {"command": [sys.executable, "-I", "-c", "print(1)"]}
    refused = {
        "command": {},
        "inputs.command": {"command": 7},
        "timeout": {"command": ["true"], "timeout": -1},
        "cwd": {"command": ["true"], "cwd": ""},
    }
    lasting = {"command": ["sleep", "60"], "timeout": 60}


class TestSystemInfo(ExecutorContract):
    plugin = apflow_stdio
    executor_id = "system_info_executor"
    example = {"resource": "memory"}
    refused = {"resource": {"resource": "moon"}, "timeout": {"timeout": "soon"}, "colour": {"colour": "red"}}
