"""How each executor is called: looked up in its signature once, then plain calls."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from apflow.references import CONTAINERS, KEYS
from apflow.structuring import DoesNotFit, Misfit, structurer
from apflow.threads import in_thread
from apflow_hookspecs import ExecutableTask, FunctionExecutor, TaskContext
from apflow_hookspecs.errors import TaskFailed


class Call:
    """One executor, ready to be called.

    Attributes:
        executor: The executor.
        accepts: Names of the inputs that it takes; None is any.
        wants_context: Whether it is given a `TaskContext`.

    Raises:
        TypeError: Its signature says what no JSON value can be; the message names the executor and the parameter.
    """

    def __init__(self, executor: ExecutableTask) -> None:
        self.executor = executor
        self.accepts: frozenset[str] | None = None
        self.wants_context = False
        self._required: frozenset[str] = frozenset()
        self._structurers: dict[str, Callable[[Any], Any]] = {}
        params: type | None = getattr(executor, "Params", None)
        self._params = None if params is None else _structurer(f"executor {executor.id!r}, params", params)
        if isinstance(executor, FunctionExecutor):
            self._read_function(executor)
        else:
            self._read_class(executor)

    def _read_function(self, executor: FunctionExecutor) -> None:
        parameters = executor.input_parameters
        named = {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
        self._structurers = {
            name: _structurer(f"executor {executor.id!r}, parameter {name!r}", Any if p.annotation is p.empty else p.annotation)
            for name, p in named.items()
        }
        self._required = frozenset(name for name, p in named.items() if p.default is p.empty)
        self.accepts = frozenset(named) if len(named) == len(parameters) else None
        self.wants_context = executor.context_parameter is not None
        function, context_name, is_async = executor.function, executor.context_parameter, executor.is_async

        def call(inputs: Mapping[str, Any], context: TaskContext | None) -> Awaitable[Any]:
            arguments = self._structured(inputs)
            if context_name is not None:
                arguments[context_name] = context
            return function(**arguments) if is_async else in_thread(function, **arguments)

        self.invoke: Callable[[Mapping[str, Any], TaskContext | None], Awaitable[Any]] = call

    def _read_class(self, executor: ExecutableTask) -> None:
        kinds = [p.kind for p in inspect.signature(executor.execute).parameters.values()]
        positional = [kind for kind in kinds if kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)]
        self.wants_context = len(positional) > 1 or inspect.Parameter.VAR_POSITIONAL in positional
        execute: Callable[..., Any] = executor.execute
        with_context = self.wants_context

        async def call(inputs: Mapping[str, Any], context: TaskContext | None) -> Any:
            plain = dict(inputs)
            result = execute(plain, context) if with_context else execute(plain)
            return await result if isinstance(result, Awaitable) else result

        self.invoke = call

    def params(self, raw: Mapping[str, Any]) -> Any:
        """A task's params, structured into the executor's `Params` where it has such a class.

        Raises:
            DoesNotFit: They do not fit.
        """
        return dict(raw) if self._params is None else self._params(dict(raw))

    def missing(self, inputs: Mapping[str, Any]) -> frozenset[str]:
        """Names of the inputs that it needs besides these."""
        return self._required - inputs.keys()

    def misfits(self, inputs: Mapping[str, Any], provided: frozenset[str]) -> list[Misfit]:
        """What is wrong with the inputs of a task, as far as they are known before it runs.

        Args:
            inputs: As the author wrote them.
            provided: Names that the results of its dependencies may fill.
        """
        if not isinstance(self.executor, FunctionExecutor):
            return []
        found = [Misfit(f".{name}", "is missing", None) for name in sorted(self.missing(inputs) - provided)]
        for name, value in inputs.items():
            check = self._structurers.get(name)
            if check is None:
                if self.accepts is not None:
                    rule = f"{self.executor.id} takes no such input; it takes {self._known()}"
                    found.append(Misfit(f".{name}", rule, value))
            elif not _holds_reference(value):
                try:
                    check(value)
                except DoesNotFit as error:
                    found += (Misfit(f".{name}{m.path}", m.rule, m.value) for m in error.misfits)
        return found

    def _known(self) -> str:
        return ", ".join(sorted(self.accepts or ())) or "none"

    def _structured(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name, value in inputs.items():
            check = self._structurers.get(name)
            if check is not None:
                try:
                    arguments[name] = check(value)
                except DoesNotFit as error:
                    raise bad_input(f".{name}", error) from None
            elif self.accepts is None:
                arguments[name] = value
            else:
                raise TaskFailed(f"{self.executor.id} takes no input {name!r}; it takes {self._known()}", error="bad_input")
        if not self._required <= arguments.keys():
            raise TaskFailed(f"input {min(self._required - arguments.keys())!r} is missing", error="bad_input")
        return arguments


def _structurer(where: str, annotation: Any) -> Callable[[Any], Any]:
    try:
        return structurer(annotation)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error


def bad_input(path: str, error: DoesNotFit) -> TaskFailed:
    """The end of an attempt whose inputs do not fit."""
    misfits = [f"input {(path + m.path).lstrip('.')!r} {m.rule}" for m in error.misfits]
    return TaskFailed("; ".join(misfits), error="bad_input")


class Calls(Mapping[str, Call]):
    """The calls of a host's executors, by id; each is made when it is first needed."""

    def __init__(self, executors: Mapping[str, ExecutableTask]) -> None:
        self._executors = executors
        self._made: dict[str, Call] = {}

    def __getitem__(self, executor_id: str) -> Call:
        call = self._made.get(executor_id)
        if call is None:
            call = self._made[executor_id] = Call(self._executors[executor_id])
        return call

    def __iter__(self) -> Iterator[str]:
        return iter(self._executors)

    def __len__(self) -> int:
        return len(self._executors)


def _holds_reference(value: Any) -> bool:
    if not isinstance(value, CONTAINERS):
        return False
    open_values = [value]
    while open_values:
        value = open_values.pop()
        if isinstance(value, dict):
            if not KEYS.isdisjoint(value):
                return True
            open_values.extend(value.values())
        elif isinstance(value, list):
            open_values.extend(value)
    return False
