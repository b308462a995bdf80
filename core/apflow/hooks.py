"""How hooks are called: one implementation after the other, in the order of the plugins' names, each named in its errors.

Nothing here goes through pluggy's own calls: those run backwards through the order of registration, and await nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar

from attrs import define, frozen
from pluggy import HookImpl, PluginManager

from apflow.loading import FOREIGN, in_one_line
from apflow_hookspecs import Problem
from apflow_hookspecs.errors import shortened

_log = logging.getLogger(__name__)

T = TypeVar("T")


class HookFailed(Exception):
    """A plugin's implementation of a hook raised, or did not answer in time; `__cause__` is what it raised.

    Args:
        plugin: Its name.
        hook: The hook's name.
        reason: One line.
    """

    def __init__(self, plugin: str, hook: str, reason: str) -> None:
        super().__init__(f"plugin {plugin!r} failed in {hook}: {reason}")
        self.plugin = plugin
        self.hook = hook
        self.reason = reason


@frozen
class Implementation:
    """One plugin's implementation of a hook.

    Args:
        plugin: The plugin's name.
        hook: The hook's name.
        call: Takes all arguments of the hook by position, and hands on those that the plugin asked for.
        takes: The names of these.
        returns_none: Whether it is annotated to return None.
    """

    plugin: str
    hook: str
    call: Callable[..., Any]
    takes: tuple[str, ...] = ()
    returns_none: bool = False

    async def answer(self, *arguments: Any, within: float | None, read: Callable[[Any], T]) -> T:
        """What the plugin answers, awaited where that is needed.

        Args:
            arguments: All of the hook's, in their order.
            within: Seconds for what is awaited; None is for ever.
            read: Checks and converts the answer; its errors are the plugin's.

        Raises:
            HookFailed: The call, the time-out or `read` says so.
        """
        try:
            result = self.call(*arguments)
            if hasattr(result, "__await__"):
                result = await in_time(result, within)
            return read(result)
        except FOREIGN as error:
            raise HookFailed(self.plugin, self.hook, in_one_line(error)) from error


@define(eq=False)
class Observer:
    """An implementation whose failures are counted."""

    implementation: Implementation
    failures: int = 0
    in_a_row: int = 0
    switched_off: str | None = None
    """Why it is called no more."""


def as_it_is(answer: T) -> T:
    """For `Implementation.answer`: any answer will do."""
    return answer


def implementations(manager: PluginManager, hook: str) -> tuple[Implementation, ...]:
    """The implementations of a hook in the order in which they are called: by name, `tryfirst` before, `trylast` after."""
    caller = getattr(manager.hook, hook)
    offered: tuple[str, ...] = caller.spec.argnames
    ordered = sorted(caller.get_hookimpls(), key=lambda found: (found.trylast - found.tryfirst, found.plugin_name))
    return tuple(
        Implementation(found.plugin_name, hook, _taking_all(found, offered), found.argnames, _returns_none(found))
        for found in ordered
    )


_NOTHING = (None, "None", "Awaitable[None] | None")


def _returns_none(found: HookImpl) -> bool:
    return getattr(found.function, "__annotations__", {}).get("return", ...) in _NOTHING


def _taking_all(found: HookImpl, offered: tuple[str, ...]) -> Callable[..., Any]:
    function, places = found.function, [offered.index(name) for name in found.argnames]
    if found.argnames == offered:
        return function
    if not places:
        return lambda *_: function()
    if len(places) == 1:
        (place,) = places
        return lambda *arguments: function(arguments[place])
    pick = itemgetter(*places)
    return lambda *arguments: function(*pick(arguments))


@contextmanager
def told_when_late(implementation: Implementation, after: float) -> Iterator[None]:
    """While a plugin is awaited: a warning that names it, once so many seconds have passed."""
    from asyncio import get_running_loop  # noqa: PLC0415 - the program shows its help without it

    about = {"plugin": implementation.plugin, "hook": implementation.hook}
    warn = partial(_log.warning, "plugin %r is still in %s after %g s", *about.values(), after, extra=about)
    timer = get_running_loop().call_later(after, warn)
    try:
        yield
    finally:
        timer.cancel()


async def in_time(result: Awaitable[Any], within: float | None) -> Any:
    """What an awaitable gives.

    Raises:
        TimeoutError: Not within so many seconds.
        RuntimeError: It was cancelled, and not because we were.
    """
    import asyncio  # noqa: PLC0415 - the program shows its help without it

    deadline = asyncio.timeout(within)
    try:
        async with deadline:
            return await result
    except TimeoutError as error:
        if deadline.expired():
            raise TimeoutError(f"no answer within {within:g} s") from error
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled us: it leaked out of something that the plugin itself had cancelled.
        raise RuntimeError("it was cancelled from inside") from error


def problems_of(answer: object) -> list[Problem]:
    """What a validator answered.

    Raises:
        TypeError: It is something else.
    """
    if answer is None:
        return []
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise TypeError(f"returned {_named(answer)} instead of an iterable of Problem, or None")
    problems = list(answer)
    for found in problems:
        if not isinstance(found, Problem):
            raise TypeError(f"returned {_named(found)} among what is each to be a Problem")
    return problems


def _named(answer: object) -> str:
    return "one Problem" if isinstance(answer, Problem) else shortened(answer)


def inputs_of(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """Changed inputs, or None; errors as of `problems_of`."""
    if not isinstance(answer, dict | None):
        raise TypeError(f"returned {type(answer).__name__} instead of a dict or None")
    return answer


def secret_of(answer: str | None) -> str | None:
    """A secret, or None; errors as of `problems_of`."""
    if not isinstance(answer, str | None):
        raise TypeError(f"returned {type(answer).__name__} instead of a str or None")
    return answer
