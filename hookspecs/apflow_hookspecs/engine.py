"""What a plugin that drives the engine is handed: servers, schedulers, agent protocols.

Everything goes through one catalogue of operations, in which each call checks its caller; the few methods beside it are what
a catalogue of requests and answers cannot do.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from attrs import frozen

from apflow_hookspecs.executors import ExecutableTask
from apflow_hookspecs.storage import Storage
from apflow_hookspecs.task import Event, Json, TaskTree

if TYPE_CHECKING:
    from apflow_hookspecs.operations import Operation

SCOPES = frozenset({"read", "submit", "cancel", "admin"})
"""What a caller may be allowed; `admin` sees and does everything."""


@frozen
class Caller:
    """On whose behalf an operation runs.

    Args:
        user_id: None is nobody in particular.
        scopes: Of `SCOPES`.
        origin: `local` is a user of this machine; limits and stricter rules bind `remote` callers.
    """

    user_id: str | None = None
    scopes: frozenset[str] = frozenset()
    origin: Literal["local", "remote"] = "remote"

    @classmethod
    def local(cls, user_id: str | None = None) -> Caller:
        """The user of this machine, who may do everything."""
        return cls(user_id, SCOPES, "local")


@frozen
class Command:
    """A command of the `apflow` program, as a record: its implementation is imported when it is used.

    With `click.pass_obj` it is handed the program's session: `session.call(operation, **params)` answers an operation, here or
    through the process that has the storage open; `session.reach(work)` awaits `work(operations)` likewise, for more than one;
    `session.serve(work, loop_factory=None)` opens the engine here and awaits `work(engine, asked)`, whose event the first
    signal to end sets; `session.section(name, cls)` is a plugin's table of the configuration; `session.json` tells to print for
    machines. The options that all commands share need not be declared, nor by the commands in a group.

    Args:
        name: `apflow NAME`.
        help: One line.
        target: `module:attribute` of a `click.Command`.
    """

    name: str
    help: str
    target: str


C = TypeVar("C")


class Engine(Protocol):
    """A running engine."""

    storage: Storage

    @property
    def executors(self) -> Mapping[str, ExecutableTask]:
        """The executors of all plugins, by id."""
        ...

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The catalogue: all that can be called, by name."""
        ...

    def describe(self, operation: str) -> dict[str, Json]:
        """An operation as front ends document it.

        Returns:
            `name`, `summary`, `scope`, `params` and `result` (JSON Schema; positional parameters are in the order of the
            properties), and `errors`: an object of `code` and `message` for each that it may refuse with.

        Raises:
            UnknownOperation: There is no such operation.
        """
        ...

    async def call(self, operation: str, params: Mapping[str, Json] | Sequence[Json], caller: Caller) -> Json:
        """Run an operation of the catalogue and return its JSON result.

        Raises:
            ApflowError: What the operation refuses; `InvalidParams` where the parameters do not fit.
        """
        ...

    def watch(self, tree_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """A tree's events from number `after` + 1 on: the stored ones, then live, to the end of its latest run. Close it."""
        ...

    async def tree(self, task_id: str) -> TaskTree:
        """The tree that holds a task, as it stands; one that runs goes on changing.

        Raises:
            NotFound: There is no such task.
        """
        ...

    async def drain(self) -> None:
        """Start nothing more, refuse what is new (`Overloaded`), and give what runs `drain_timeout` seconds to end."""
        ...

    def plugin(self, name: str) -> object:
        """The module or object that is a plugin: for commands and plugins that belong to it.

        Raises:
            KeyError: There is none of this name, or it is not on.
        """
        ...

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's part of the configuration, structured into its attrs class.

        Raises:
            ConfigError: It does not fit; the message names the key, the value and where it came from.
        """
        ...
