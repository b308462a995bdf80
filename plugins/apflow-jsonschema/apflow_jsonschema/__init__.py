"""Holds the inputs and results of apflow tasks to their JSON Schemas.

A task's `schemas` may hold an `input_schema` and an `output_schema`. Both are looked at when the tree is created, together with
what is known of the inputs then; each attempt's inputs and result are held to them. So are the inputs to the `input_schema` of
an executor that has one. An executor's `output_schema` describes: nobody's result is refused for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from apflow_hookspecs import Engine, ExecutableTask, Json, Problem, Task, TaskFailed, hookimpl
from apflow_jsonschema.known import Open, expected, holds_more_than, unsealed

if TYPE_CHECKING:
    from apflow_jsonschema.schemas import Schema
    from apflow_jsonschema.words import Misfit

COMPILED = 256
"""Schemas that are kept ready for use."""

LARGE = 2_000
"""Parts from which on a value is checked in a thread, so that the engine goes on meanwhile."""

MOST_PROBLEMS = 20

T = TypeVar("T")


@frozen
class Options:
    """What the operator decides: the section `[jsonschema]` of the configuration.

    Args:
        formats: Whether `format` is checked, as far as it takes no further library; it is an annotation otherwise.
    """

    formats: bool = False


class JsonSchemas:
    """The plugin, one for each host: its hooks, and the schemas that it has read."""

    def __init__(self) -> None:
        self._options = Options()
        self._promised: dict[str, str] = {}
        self._compiled: Callable[[str], Schema] = lru_cache(COMPILED)(self._compile)

    @hookimpl
    def apflow_startup(self, engine: Engine) -> None:
        """Read the options, and which executors say what they take."""
        self._options = engine.section("jsonschema", Options)
        promised = {id: _promise(executor) for id, executor in engine.executors.items()}
        self._promised = {id: schema for id, schema in promised.items() if schema is not None}

    @hookimpl(trylast=True)
    def apflow_validate_task(
        self, task: Task, executor: ExecutableTask | None
    ) -> Iterable[Problem] | Awaitable[Iterable[Problem]]:
        """The schemas can be used, and the inputs fit, as far as they are known."""
        promise = None if executor is None else self._promised.get(executor.id)
        if not task.schemas and promise is None:
            return ()
        return _in_peace(task.inputs, partial(self._problems, task, promise))

    @hookimpl(trylast=True)
    def apflow_before_execute(self, task: Task, inputs: dict[str, Any]) -> Awaitable[None] | None:
        """The resolved inputs fit."""
        if "input_schema" not in task.schemas and task.executor not in self._promised:
            return None
        return _in_peace(inputs, partial(self._hold_inputs, task, inputs))

    @hookimpl(trylast=True)
    def apflow_after_execute(self, task: Task, result: Json) -> Awaitable[None] | None:
        """The result fits."""
        if "output_schema" not in task.schemas:
            return None
        return _in_peace(result, partial(self._hold_result, task.schemas["output_schema"], result))

    def _problems(self, task: Task, promise: str | None) -> list[Problem]:
        return list(islice(self._each_problem(task, promise), MOST_PROBLEMS))

    def _each_problem(self, task: Task, promise: str | None) -> Iterator[Problem]:
        schemas = {name: self._schema(written) for name, written in task.schemas.items()}
        for name, schema in schemas.items():
            yield from (_problem(task, f"schemas.{name}", fault) for fault in schema.faults)
        if task.is_group:
            return
        inputs = expected(task)
        wanted = [schemas["input_schema"]] if "input_schema" in schemas else []
        if promise is not None:
            wanted.append(self._compiled(promise))
        misfits = (misfit for schema in wanted if not schema.faults for misfit in schema.misfits(inputs))
        told: dict[str, Problem] = {}
        for misfit in misfits:
            problem = _problem(task, "inputs", misfit)
            if told.setdefault(f"{problem.field} {problem.rule}", problem) is problem:
                yield problem

    def _hold_inputs(self, task: Task, inputs: dict[str, Any]) -> None:
        known = unsealed(task.inputs, inputs)
        if "input_schema" in task.schemas:
            _refuse("bad_input", "input", self._schema(task.schemas["input_schema"]).misfits(known))
        promise = self._promised.get(task.executor or "")
        if promise is not None:
            _refuse("bad_input", "input", _kept(self._compiled(promise), task, known))

    def _hold_result(self, schema: Json, result: Json) -> None:
        _refuse("bad_result", "result", self._schema(schema).misfits(result))

    def _schema(self, written: Json) -> Schema:
        return self._compiled(json.dumps(written))

    def _compile(self, text: str) -> Schema:
        from apflow_jsonschema.schemas import Schema  # noqa: PLC0415 - jsonschema is heavy, and few trees have schemas

        return Schema(json.loads(text), formats=self._options.formats)


def _promise(executor: ExecutableTask) -> str | None:
    """What an executor says of its inputs, as JSON; what is none describes, and nobody is held to it."""
    schema = getattr(executor, "input_schema", None)
    try:
        return json.dumps(schema) if isinstance(schema, dict) else None
    except (TypeError, ValueError, RecursionError):
        return None


def _kept(schema: Schema, task: Task, inputs: dict[str, Any]) -> Iterable[Misfit]:
    """What breaks an executor's promise; results that come by themselves, and that it has no word for, do not."""
    if schema.faults:
        return ()
    unasked = {dependency.key for dependency in task.dependencies} - task.inputs.keys() - schema.names
    asked = {name: value for name, value in inputs.items() if name not in unasked}
    return schema.misfits(Open(asked, unasked) if unasked else asked)


def _in_peace(value: Json, check: Callable[[], T]) -> T | Awaitable[T]:
    """Check at once what is small, and what is large in a thread."""
    if not holds_more_than(LARGE, value):
        return check()
    from asyncio import to_thread  # noqa: PLC0415 - a plugin is imported at every start, and few starts run anything

    return to_thread(check)


def _problem(task: Task, field: str, misfit: Misfit) -> Problem:
    return Problem(misfit.rule, task.key, ".".join([field, *map(str, misfit.path)]), misfit.value)


def _refuse(code: str, what: str, misfits: Iterable[Misfit]) -> None:
    """Fail the attempt over what does not fit; nothing where all does.

    Raises:
        TaskFailed: With the first place as a JSON Pointer in its details.
    """
    told = list(misfits)
    if told:
        message = "; ".join(f"{_place(what, misfit)} {misfit.rule}" for misfit in told)
        raise TaskFailed(message, error=code, details={"path": told[0].pointer, "rule": told[0].rule})


def _place(what: str, misfit: Misfit) -> str:
    if not misfit.path:
        return {"input": "the inputs", "result": "the result"}[what]
    return f"{what} {'.'.join(map(str, misfit.path))!r}"
