"""`command_executor`: a program of this machine, run without a shell and ended with all that it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import evolve

from apflow_hookspecs import Json, Problem, Task, TaskContext, TaskFailed
from apflow_hookspecs.errors import PermissionDenied
from apflow_stdio.launch import Launch, known, launch, problems, unknown_inputs
from apflow_stdio.options import Options

if TYPE_CHECKING:
    from apflow_stdio.process import Outcome

TAIL = 4000
"""Characters of each stream that an error carries."""

_TEXT = {"type": "string"}


class CommandExecutor:
    """Runs a command.

    Its options are the operator's; the plugin sets them when the engine starts. By hand, in a test or a script:

        await CommandExecutor().execute({"command": ["uname", "-a"]}, TaskContext(task=task))
    """

    id = "command_executor"
    summary = "Run a program of this machine, without a shell"
    input_schema = {
        "type": "object",
        "required": ["command"],
        "properties": {
            "command": {
                "description": "The program and its arguments as a list, as a line, or a command of the operator's",
                "anyOf": [
                    {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1},
                    {**_TEXT, "minLength": 1},
                    {"type": "object", "required": ["name"], "properties": {"name": _TEXT, "arguments": {"type": "object"}}},
                ],
            },
            "timeout": {
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "Seconds; by default the task's timeout, else 30",
            },
            "cwd": {**_TEXT, "description": "Folder to work in"},
            "env": {"type": "object", "additionalProperties": _TEXT, "description": "Variables beside the clean environment"},
            "input": {**_TEXT, "description": "Text for standard input"},
            "check": {"type": "boolean", "default": True, "description": "Whether a return code other than 0 fails the task"},
            "max_output": {"type": "integer", "minimum": 0, "description": "Bytes kept of each output stream"},
        },
    }
    output_schema = {
        "type": "object",
        "required": ["success", "return_code", "stdout", "stderr"],
        "properties": {
            "success": {"type": "boolean"},
            "return_code": {"type": "integer", "description": "Negative: the signal that ended it"},
            "stdout": _TEXT,
            "stderr": _TEXT,
            "left_out": {"type": "object", "description": "Bytes that were not kept, by stream, where any were not"},
        },
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def problems(self, task: Task, origin: str) -> Iterator[Problem]:
        """What is wrong with a task, as far as its author's inputs tell."""
        inputs = known(task.inputs)
        found = list(unknown_inputs(inputs))
        arriving = {dependency.key for dependency in task.dependencies}
        if origin != "local" or "command" in inputs or "command" not in arriving:
            found += problems(inputs, self.options, origin)
        return (evolve(problem, task=task.key) for problem in found)

    async def execute(self, inputs: dict[str, Any], context: TaskContext | None = None) -> Json:
        """Run the command that the inputs name; without a context, as for a caller from outside.

        Raises:
            TaskFailed: `bad_input`, `denied`, `timeout`, or `failed`; return code and output are in `details`.
        """
        found = list(problems(inputs, self.options, "remote" if context is None else context.origin))
        if found:
            denied = any(problem.code == PermissionDenied.code for problem in found)
            raise TaskFailed("; ".join(map(str, found)), error="denied" if denied else "bad_input")
        planned = launch(inputs, self.options, None if context is None else context.task.timeout)
        from apflow_stdio.process import run  # noqa: PLC0415 - a plugin is imported at every start, and few starts run commands

        outcome = await run(planned)
        if outcome.left and context is not None:
            context.log.warning("processes of the command could not be ended", extra={"groups": list(outcome.left)})
        _raise_for(outcome, planned)
        if outcome.return_code and inputs.get("check") is not False:
            raise _failed(f"{planned.argv[0]!r} {_ending(outcome)}", outcome)
        return _result(outcome)


def _result(outcome: Outcome) -> dict[str, Json]:
    left_out = {name: kept.left_out for name, kept in _streams(outcome).items() if kept.left_out}
    return {
        "success": outcome.return_code == 0,
        "return_code": outcome.return_code,
        **{name: kept.text for name, kept in _streams(outcome).items()},
        **({"left_out": left_out} if left_out else {}),
    }


def _raise_for(outcome: Outcome, planned: Launch) -> None:
    program = planned.argv[0]
    if outcome.failure is not None:
        raise TaskFailed(_start_failure(outcome.failure, planned))
    if outcome.timed_out:
        raise _failed(f"{program!r} took longer than {planned.timeout:g} s and was ended", outcome, error="timeout")
    if outcome.return_code is None:
        raise _failed(f"{program!r} was ended because its supervising process was killed", outcome)


def _start_failure(failure: tuple[str, int], planned: Launch) -> str:
    stage, number = failure
    program, reason = planned.argv[0], os.strerror(number)
    if stage == "folder":
        return f"{program!r} cannot work in the folder {planned.cwd!r}: {reason}"
    if stage == "limits":
        return f"{program!r} cannot be limited as configured: {reason}"
    where = "" if "/" in program else f" (PATH is {planned.env.get('PATH', os.defpath)})"
    return f"the program {program!r} cannot be started: {reason}{where}"


def _ending(outcome: Outcome) -> str:
    code = outcome.return_code or 0
    if code < 0:
        number = -code
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"was ended by {name}"
    last = outcome.stderr.text.rpartition("\n")[2][:200]
    return f"ended with return code {code}{f': {last}' if last else ''}"


def _failed(message: str, outcome: Outcome, error: str = "failed") -> TaskFailed:
    tails = {name: kept.text[-TAIL:] for name, kept in _streams(outcome).items()}
    return TaskFailed(message, error=error, details={"return_code": outcome.return_code, **tails})


def _streams(outcome: Outcome) -> dict[str, Any]:
    return {"stdout": outcome.stdout, "stderr": outcome.stderr}
