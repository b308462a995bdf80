"""What does the work of a task: executors, and what wraps them: policies.

The usual executor is a function, whose signature is its input schema:

    @executor("greet", summary="Greet somebody")
    async def greet(name: str, punctuation: str = "!") -> dict:
        return {"text": f"Hello {name}{punctuation}"}

    @hookimpl
    def apflow_executors():
        yield greet

`inputs` are structured into the annotated types (attrs classes too) and refused, by the field's name, when they do not fit.
A parameter annotated `TaskContext` receives the attempt's context. A plain `def` runs in a thread. A class with an `id` and
`async execute(self, inputs)` serves where there is state, or where one executor wraps another.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cached_property, update_wrapper
from math import inf, isnan
from typing import Any, Literal, Protocol, runtime_checkable

from attrs import define, field, frozen

from apflow_hookspecs.task import EMPTY, Json, Task, Wait

OnCrash = Literal["rerun", "fail"]


@runtime_checkable
class ExecutableTask(Protocol):
    """An executor: an `id`, and `execute(inputs)` or `execute(inputs, context)`.

    `execute` gets the resolved inputs as a dict and returns a JSON value, or a `Wait`. Raising fails the attempt: `TaskFailed`
    with a code of its choice, any other exception with `failed`. When the task is cancelled or out of time, the coroutine gets
    `asyncio.CancelledError`; it has a grace period to clean up.

    An executor may also have: `summary` (str); `input_schema`, `output_schema` (JSON Schema as dict); `Params` (an attrs class
    into which the task's `params` are structured); `on_crash` ("rerun", or "fail" where running twice does harm);
    `async cancel(context)`, called before the coroutine is cancelled.
    """

    id: str

    async def execute(self, inputs: dict[str, Any]) -> Json:
        """Do the work of one attempt."""
        ...


@define(eq=False, kw_only=True)
class TaskContext:
    """One attempt, as its executor, its policies and the hooks around it see it.

    It can be made by hand to call an executor in a test: `TaskContext(task=task)`.
    """

    task: Task
    attempt: int = 1
    """Planned try of this run, from 1."""
    inputs: Mapping[str, Json] = EMPTY
    """What the executor is called with, before it is structured: references resolved, changed by hooks, secrets by name."""
    params: Any = field(default=EMPTY, repr=False)
    """The task's `params`, structured into the executor's `Params` where it has such a class. Where they name secrets, hooks
    get them as they are written; policies and the executor get the values."""
    results: Mapping[str, Json] = EMPTY
    """Result of each dependency by its key; of one that did not complete, its error."""
    origin: Literal["local", "remote"] = "local"
    """Who created the tree."""
    user_id: str | None = None
    since: int = 0
    """Instant at which the first attempt of this run started; for policies."""
    idempotency_key: str = ""
    """The same for every attempt and recovery of one run of the task: for services that do a thing once per key."""
    reporter: Callable[[float, str | None], None] | None = field(default=None, repr=False)

    @property
    def wait(self) -> Wait | None:
        """The executor's wait from which the task comes back; None in the first call of an attempt."""
        wait = self.task.wait
        return wait if wait is None or wait.policy is None else wait.before

    @property
    def policy_wait(self) -> Wait | None:
        """The wait of a policy from which the task comes back; it bears the policy's name."""
        wait = self.task.wait
        return None if wait is None or wait.policy is None else wait

    @property
    def answer(self) -> Json:
        """What was answered to the executor's wait from which the task comes back."""
        return None if self.wait is None else self.wait.answer

    def report(self, progress: float, message: str | None = None) -> None:
        """Tell how far the attempt is, 0 to 1; shown to those who watch, stored at most once a second.

        Raises:
            ValueError: The progress is not a number. One below 0 or above 1 counts as these.
        """
        if isnan(progress):
            raise ValueError(f"progress = {progress}: must be a number from 0 to 1")
        if self.reporter is not None:
            self.reporter(min(max(float(progress), 0.0), 1.0), message)

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records bear the task's id, key and attempt."""
        extra = {"task_id": self.task.id, "task_key": self.task.key, "attempt": self.attempt}
        return _ContextLogger(logging.getLogger(f"apflow.executor.{self.task.executor}"), extra)


class _ContextLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class FunctionExecutor:
    """A function as an executor; what `@executor` makes. It can still be called as the function that it was."""

    def __init__(
        self,
        function: Callable[..., Any],
        id: str,
        *,
        summary: str | None = None,
        on_crash: OnCrash | None = None,
        params: type | None = None,
    ) -> None:
        self.id = id
        self.function = function
        self.summary = summary if summary is not None else (inspect.getdoc(function) or "").partition("\n")[0]
        self.on_crash = on_crash
        self.Params = params
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<executor {self.id!r}>"

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature with its annotations as types.

        Raises:
            TypeError: An annotation cannot be evaluated, or a parameter takes no name.
        """
        try:
            signature = inspect.signature(self.function, eval_str=True)
        except Exception as error:  # an annotation may be any expression
            culprit = _unresolved(self.function)
            what = "its signature cannot be read" if culprit is None else "its annotation cannot be evaluated at run time"
            raise TypeError(f"{self._where(culprit)}: {what}: {type(error).__name__}: {error}") from error
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise TypeError(f"{self._where(name)}: is {parameter.kind.description}, and inputs are given by name")
        return signature

    def _where(self, parameter: str | None) -> str:
        return f"executor {self.id!r}" if parameter is None else f"executor {self.id!r}, parameter {parameter!r}"

    @cached_property
    def context_parameter(self) -> str | None:
        """The parameter that receives the context: the one annotated `TaskContext`."""
        for parameter in self.signature.parameters.values():
            if parameter.annotation in (TaskContext, TaskContext | None):
                return parameter.name
        return None

    @cached_property
    def input_parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters that `inputs` fill, by name."""
        return {name: p for name, p in self.signature.parameters.items() if name != self.context_parameter}

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop; a plain function runs in a thread."""
        return inspect.iscoroutinefunction(self.function)

    async def execute(self, inputs: dict[str, Any], context: TaskContext | None = None) -> Json:
        """Call the function with inputs that are already of its types, as an executor that wraps it does."""
        arguments = inputs if self.context_parameter is None else {**inputs, self.context_parameter: context}
        if self.is_async:
            return await self.function(**arguments)
        from asyncio import to_thread  # noqa: PLC0415 - a plugin is imported at every start, and few starts run anything

        return await to_thread(self.function, **arguments)


def _unresolved(function: Callable[..., Any]) -> str | None:
    """The first parameter whose annotation cannot be evaluated; `return` is that of the result."""
    names = getattr(inspect.unwrap(function), "__globals__", {})
    for parameter, annotation in getattr(function, "__annotations__", {}).items():
        if isinstance(annotation, str):
            try:
                eval(annotation, names)  # noqa: S307 - as `inspect.signature` does, one by one
            except Exception:  # noqa: BLE001 - as above
                return str(parameter)
    return None


def executor(
    id: str,
    *,
    summary: str | None = None,
    on_crash: OnCrash | None = None,
    params: type | None = None,
) -> Callable[[Callable[..., Any]], FunctionExecutor]:
    """Make a function an executor.

    Args:
        id: What a task's `executor` says; unique among the installed plugins.
        summary: One line; by default the first of the docstring.
        on_crash: Whether recovery runs it again (`rerun`, the default) or fails the task (`fail`).
        params: An attrs class into which the task's `params` are structured.
    """

    def decorate(function: Callable[..., Any]) -> FunctionExecutor:
        return FunctionExecutor(function, id, summary=summary, on_crash=on_crash, params=params)

    return decorate


class Retry(Exception):
    """This attempt failed; make another one later.

    A policy or an executor raises it from the error that it met (`raise Retry(after=2.0) from error`), which the history then
    shows; the engine records the attempt, frees its slot and starts the next one when the time has come, also after a restart.
    There is no limit but theirs: they count by `context.attempt`, and raise something else in the end.

    Args:
        after: Seconds until the next attempt.
    """

    def __init__(self, after: float = 0.0) -> None:
        if not 0 <= after < inf:
            raise ValueError(f"after = {after}: must be a number of seconds, not below 0")
        super().__init__(f"another attempt in {after:g} s")
        self.after = after


class Lost(Exception):
    """What did the work is gone: the task is recovered as after a crash, which is not an attempt.

    Args:
        reason: What was lost, for the history.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


CallNext = Callable[[], Awaitable[Any]]
"""Runs the rest of the chain, down to the executor, and returns its result."""


@frozen
class Policy:
    """What wraps an attempt of a task that asks for it: retry, cache, rate limit.

        @frozen
        class Options:
            attempts: int = 3

        async def around(call_next: CallNext, context: TaskContext, options: Options) -> Json | Wait:
            try:
                return await call_next()
            except ConnectionError as error:
                if context.attempt >= options.attempts:
                    raise
                raise Retry(after=2.0**context.attempt) from error

        @hookimpl
        def apflow_policies():
            yield Policy("patient", around, options=Options, order=200)

    A task then says `"policies": {"patient": {"attempts": 5}}`. `around` may refuse, shorten, observe or replace the attempt,
    or end it with a decision that the engine carries out: raise `Retry` or `Lost`, or return a `Wait`, after which the task
    enters the whole chain once more. An attempt whose time is over comes out of `call_next` as `TaskFailed` with the code
    `timeout`; the policies have some seconds to answer it.

    Args:
        name: The key in a task's `policies`.
        around: Called once per attempt.
        options: An attrs class into which the task's options are structured when the tree is created; None takes no options.
        order: The lowest is outermost; ties go by name. cache 100, retry 200, circuit 300, limit 400, placement 900.
        summary: One line.
    """

    name: str
    around: Callable[[CallNext, TaskContext, Any], Awaitable[Any]]
    options: type | None = None
    order: int = 500
    summary: str = ""
