"""What the operator decides: the section `[stdio]` of the configuration, and the commands that outsiders may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import ge, gt, optional

MIB = 1 << 20

NAMED_MEMORY: int | None = 2048 * MIB
"""Bytes of data for each process of a command that tasks name, where the operator does not say."""


@frozen
class Parameter:
    """A value that a task gives to a command, and what it may be: `[stdio.commands.NAME.parameters.PARAMETER]`.

    Args:
        type: `str`, which needs a `pattern` or `choices`, or `int`.
        pattern: Regular expression that the whole text has to match.
        choices: The texts that are allowed.
        max_length: Of a text, in characters.
        min: Of an integer.
        max: Of an integer.
        default: What holds when the task leaves it out; without one it has to be given.
        allow_dash: Whether a text may begin with `-`, by which programs know their options.
        allow_parent: Whether a text may hold `..` as a part of a path.
    """

    type: Literal["str", "int"] = "str"
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    max_length: int = 255
    min: int = 0
    max: int = 2**31 - 1
    default: Any = None
    allow_dash: bool = False
    allow_parent: bool = False

    def __attrs_post_init__(self) -> None:
        if self.type == "str" and self.pattern is None and not self.choices:
            raise ValueError("a parameter of type str needs a pattern or choices")
        if self.pattern is not None:
            re.compile(self.pattern)
        if self.default is not None:
            self.text(self.default)

    def text(self, value: Any) -> str:
        """The value as a part of an argument.

        Raises:
            ValueError: It may not be given; the message is the rule.
        """
        return self._integer(value) if self.type == "int" else self._string(value)

    def _integer(self, value: Any) -> str:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be an integer")  # noqa: TRY004 - the type of a task's value, not of an argument
        if not self.min <= value <= self.max:
            raise ValueError(f"must be from {self.min} to {self.max}")
        return str(value)

    def _string(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")  # noqa: TRY004 - likewise
        if value in self.choices:
            return value
        if self.pattern is None:
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        if len(value) > self.max_length:
            raise ValueError(f"must have at most {self.max_length} characters")
        if value.startswith("-") and not self.allow_dash:
            raise ValueError("must not begin with '-': it would be taken for an option")
        if ".." in value.split("/") and not self.allow_parent:
            raise ValueError("must not hold '..' as a part of a path")
        if "\0" in value or not re.fullmatch(self.pattern, value):
            raise ValueError(f"must match {self.pattern}")
        return value


@frozen
class Command:
    """A command that tasks may name: `[stdio.commands.NAME]`.

    Args:
        argv: The program, as an absolute path or a bare name, and its arguments; `{parameter}` stands for a parameter's value,
            `{{` and `}}` for braces. The program itself is fixed.
        parameters: What a task may fill in.
        remote: Whether trees that came from outside may name it.
        summary: One line for people.
        cwd: Folder to work in; None is the one in which apflow was started.
        env: Variables beside the clean environment.
        input: Whether a task may give text for standard input.
        timeout: Seconds it may take; a task may ask for less.
        cpu_time: Seconds of processor time for each of its processes; None does not limit it.
        memory: Bytes of data for each of its processes; None does not limit it.
        processes: Processes that the user who runs apflow may have in all while it runs; None does not limit it.
    """

    argv: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(factory=dict)
    remote: bool = False
    summary: str = ""
    cwd: str | None = None
    env: Mapping[str, str] = field(factory=dict)
    input: bool = False
    timeout: float = field(default=30.0, validator=gt(0))
    cpu_time: int | None = field(default=None, validator=optional(gt(0)))
    memory: int | None = field(default=NAMED_MEMORY, validator=optional(gt(0)))
    processes: int | None = field(default=None, validator=optional(gt(0)))

    def __attrs_post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("argv needs at least a program")
        program = self.argv[0]
        if list(_placeholders(program)) or ("/" in program and not program.startswith("/")):
            raise ValueError(f"the program {program!r} must be an absolute path or a bare name, without parameters")
        used = {name for part in self.argv[1:] for name in _placeholders(part)}
        if used != set(self.parameters):
            strangers = ", ".join(sorted(used ^ set(self.parameters)))
            raise ValueError(f"argv and parameters do not name the same: {strangers}")

    def problems(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with a task's arguments: rule by parameter. Those that are not known yet are left to the caller."""
        wrong = {name: f"is no parameter; there are: {', '.join(self.parameters) or 'none'}" for name in arguments}
        for name, parameter in self.parameters.items():
            wrong.pop(name, None)
            if name not in arguments and parameter.default is None:
                wrong[name] = "is missing"
            elif name in arguments:
                try:
                    parameter.text(arguments[name])
                except ValueError as error:
                    wrong[name] = str(error)
        return wrong

    def filled(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The argv for arguments that have no problems."""
        texts = {name: p.text(arguments.get(name, p.default)) for name, p in self.parameters.items()}
        return self.argv[0], *(_fill(part, texts) for part in self.argv[1:])


def _placeholders(part: str) -> list[str]:
    names = []
    for _, name, form, conversion in Formatter().parse(part):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(f"{part!r} may hold {{name}} only; braces themselves are written {{{{ and }}}}")
        names.append(name)
    return names


def _fill(part: str, texts: Mapping[str, str]) -> str:
    return "".join(literal + texts.get(name or "", "") for literal, name, _, _ in Formatter().parse(part))


@frozen
class Options:
    """The section `[stdio]`.

    Args:
        timeout: Seconds that a command may take when its task does not say.
        grace: Seconds between SIGTERM and SIGKILL when processes are ended.
        max_output: Bytes of each output stream that are kept at most; a task may ask for less.
        environment: Names of the variables that commands get from apflow's own environment.
        cpu_time: Seconds of processor time for each process of a local command; None does not limit it.
        memory: Bytes of data for each process of a local command; None does not limit it.
        processes: Processes that the user may have in all while a local command runs; None does not limit it.
        commands: What tasks may name, and, where it says `remote`, trees from outside too.
    """

    timeout: float = field(default=30.0, validator=gt(0))
    grace: float = field(default=2.0, validator=ge(0))
    max_output: int = field(default=MIB // 4, validator=ge(0))
    environment: tuple[str, ...] = (
        "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    )  # fmt: skip
    cpu_time: int | None = field(default=None, validator=optional(gt(0)))
    memory: int | None = field(default=None, validator=optional(gt(0)))
    processes: int | None = field(default=None, validator=optional(gt(0)))
    commands: Mapping[str, Command] = field(factory=dict)
