"""From a task's inputs to what is started: the checks, and the plan.

The checks run twice: when a tree is created, over what its author wrote, and again over the resolved inputs of each attempt.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from attrs import frozen

from apflow_hookspecs import Problem
from apflow_hookspecs.errors import InvalidTask, PermissionDenied
from apflow_stdio.options import Command, Options
from apflow_stdio.words import split

LATER: Final = object()
"""Stands for a value that is only known when the attempt begins."""

_REFERENCES = frozenset({"$from", "$secret", "$literal"})
_HIDDEN = frozenset({"env", "input"})
"""Inputs that may hold secrets: no message shows them."""


@frozen
class Launch:
    """One command, ready to be started.

    Args:
        argv: The program and its arguments.
        env: Its whole environment.
        cwd: Its folder; None is the one in which apflow was started.
        input: What it reads from standard input; None is nothing.
        timeout: Seconds it may take.
        grace: Seconds between SIGTERM and SIGKILL.
        max_output: Bytes kept of each output stream.
        cpu_time: Seconds of processor time for each process.
        memory: Bytes of data for each process.
        processes: Processes that the user may have in all.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None = None
    input: bytes | None = None
    timeout: float = 30.0
    grace: float = 2.0
    max_output: int = 1 << 18
    cpu_time: int | None = None
    memory: int | None = None
    processes: int | None = None


def known(value: Any) -> Any:
    """What an author wrote, with `LATER` in place of references."""
    if isinstance(value, Mapping):
        return LATER if _REFERENCES & value.keys() else {key: known(item) for key, item in value.items()}
    return [known(item) for item in value] if isinstance(value, list) else value


def problems(inputs: Mapping[str, Any], options: Options, origin: str) -> Iterator[Problem]:
    """What is wrong with the inputs of a command, `LATER` passing every check that it can."""
    if "command" not in inputs:
        yield _problem("command", None, 'is missing: a list of texts, a command line, or {"name": …} of an operator\'s command')
        return
    command = inputs["command"]
    if origin != "local" and not _names_command(command):
        yield _problem(
            "command", command, 'must be {"name": …} of an operator\'s command, for callers from outside', denied=True
        )
    elif isinstance(command, Mapping):
        yield from _named_problems(command, inputs, options, origin)
    elif command is not LATER and (rule := _violation(_argv, command)):
        yield _problem("command", command, rule)
    for field, check in _CHECKS.items():
        value = inputs.get(field)
        if value is not None and value is not LATER and (rule := _violation(check, value, options)):
            yield _problem(field, value, rule)


def unknown_inputs(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """A warning for each input that means nothing here: trees of the earlier system may hold some."""
    fields = ["command", *_CHECKS]
    for name in inputs:
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            rule = f"means nothing to command_executor{f'; did you mean {near[0]}?' if near else ''}"
            yield Problem(rule, field=f"inputs.{name}", value=inputs[name], severity="warning")


def launch(inputs: Mapping[str, Any], options: Options, timeout: float | None = None) -> Launch:
    """What is started for inputs that have no problems; `timeout` is the task's, for a command without one of its own."""
    command = inputs["command"]
    given = {field: inputs[field] for field in _CHECKS if inputs.get(field) is not None}
    text = given.get("input")
    shared = {
        "input": None if text is None else text.encode(),
        "grace": options.grace,
        "max_output": given.get("max_output", options.max_output),
    }
    if isinstance(command, Mapping):
        named = options.commands[command["name"]]
        return Launch(
            argv=named.filled(command.get("arguments") or {}),
            env={**environment(options), **named.env},
            cwd=named.cwd,
            timeout=given.get("timeout", named.timeout),
            cpu_time=named.cpu_time,
            memory=named.memory,
            processes=named.processes,
            **shared,
        )
    return Launch(
        argv=tuple(_argv(command)),
        env={**environment(options), **given.get("env", {})},
        cwd=given.get("cwd"),
        timeout=given.get("timeout", timeout or options.timeout),
        cpu_time=options.cpu_time,
        memory=options.memory,
        processes=options.processes,
        **shared,
    )


def environment(options: Options) -> dict[str, str]:
    """The clean environment: the variables that the operator named, and a PATH of absolute folders."""
    kept = {name: os.environ[name] for name in options.environment if name in os.environ}
    folders = [folder for folder in kept.get("PATH", os.defpath).split(os.pathsep) if folder.startswith("/")]
    return {**kept, "PATH": os.pathsep.join(folders)}


def _shown(value: Any) -> Any:
    """A value with `…` for what is not known yet."""
    if value is LATER:
        return "…"
    if isinstance(value, Mapping):
        return {name: _shown(item) for name, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value


def _problem(field: str, value: Any, rule: str, *, denied: bool = False) -> Problem:
    shown = None if value is LATER else "…" if field in _HIDDEN else _shown(value)
    return Problem(rule, field=f"inputs.{field}", value=shown, code=PermissionDenied.code if denied else InvalidTask.code)


def _violation(read: Callable[..., object], *values: Any) -> str | None:
    try:
        read(*values)
    except ValueError as error:
        return str(error)
    return None


def _names_command(command: Any) -> bool:
    return isinstance(command, Mapping) and isinstance(command.get("name"), str)


def _named_problems(command: Mapping[str, Any], inputs: Mapping[str, Any], options: Options, origin: str) -> Iterator[Problem]:
    name, arguments = command.get("name"), command.get("arguments")
    named = options.commands.get(name) if isinstance(name, str) else None
    if named is None or (origin != "local" and not named.remote):
        offered = ", ".join(sorted(key for key, command in options.commands.items() if origin == "local" or command.remote))
        rule = f"must be a command that the operator offers here: {offered or 'there is none'}"
        yield _problem("command.name", name, rule, denied=origin != "local")
        return
    for extra in command.keys() - {"name", "arguments"}:
        yield _problem(f"command.{extra}", command[extra], "is unknown beside name and arguments")
    if isinstance(arguments, Mapping) or arguments is None:
        for parameter, rule in named.problems(arguments or {}).items():
            value = (arguments or {}).get(parameter)
            if value is not LATER:
                yield _problem(f"command.arguments.{parameter}", value, rule)
    elif arguments is not LATER:
        yield _problem("command.arguments", arguments, "must be an object")
    yield from _fixed_problems(named, inputs)


def _fixed_problems(named: Command, inputs: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("cwd", "env", *(() if named.input else ("input",))):
        if inputs.get(field) is not None:
            yield _problem(field, inputs[field], "is the operator's to decide for a command that is named", denied=True)
    timeout = inputs.get("timeout")
    if isinstance(timeout, int | float) and timeout > named.timeout:
        yield _problem("timeout", timeout, f"must be at most the command's own, {named.timeout:g} seconds", denied=True)


def _argv(command: Any) -> list[str]:
    if isinstance(command, str):
        return split(_text(command))
    if not isinstance(command, list) or not command:
        raise ValueError('must be a list of texts, a command line, or {"name": …} of an operator\'s command')
    words = ["" if word is LATER else _word(place, word) for place, word in enumerate(command)]
    if not words[0] and command[0] is not LATER:
        raise ValueError("must name a program")
    return words


def _word(place: int, value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"must hold texts and numbers only; the one at place {place} is {type(value).__name__}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - the type of a task's value, not of an argument
    if "\0" in value:
        raise ValueError("must not hold the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text that UTF-8 can hold") from None
    return value


def _stdin(value: Any, _: Options) -> None:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - likewise
    _text(value.replace("\0", ""))


def _folder(value: Any, _: Options) -> None:
    if not _text(value):
        raise ValueError("must name a folder")


def _seconds(value: Any, _: Options) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError("must be a number of seconds above 0")


def _flag(value: Any, _: Options) -> None:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - likewise


def _bytes(value: Any, options: Options) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= options.max_output:
        raise ValueError(f"must be a number of bytes from 0 to the operator's limit, {options.max_output}")


def _variables(value: Any, _: Options) -> None:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of texts")  # noqa: TRY004 - likewise
    for name, text in value.items():
        if not _text(name) or "=" in name:
            raise ValueError(f"must name its variables without '='; {name!r} is none")
        if text is not LATER:
            _text(text)


_CHECKS: Final[Mapping[str, Callable[[Any, Options], None]]] = {
    "timeout": _seconds,
    "cwd": _folder,
    "env": _variables,
    "input": _stdin,
    "check": _flag,
    "max_output": _bytes,
}
