import threading
from typing import Any, Literal

import attrs
import pytest

from apflow.calls import Call, Calls
from apflow.structuring import DoesNotFit
from apflow_hookspecs import TaskContext, TaskFailed, executor
from apflow_hookspecs.task import Task

CONTEXT = TaskContext(task=Task(n=0, id="t", key="t", name="t", tree_id="t"))


@attrs.frozen
class Address:
    city: str
    zip: int = 0


@executor("greet")
async def greet(name: str, punctuation: str = "!", *, times: int = 1):
    return f"Hello {name}{punctuation}" * times


@executor("anything")
async def anything(first: int, **others):
    return {"first": first, **others}


@executor("told")
async def told(name: str, context: TaskContext):
    return [name, context.task.key]


@executor("maybe")
async def maybe(context: TaskContext | None = None):
    return context.task.key


@executor("typed")
async def typed(where: Address, mode: Literal["a", "b"] = "a", untyped=None):
    return [where, mode, untyped]


@executor("late")
async def late(value: "int | None" = None):
    return value


@executor("plain")
def plain(x: int):
    return [x, threading.current_thread() is threading.main_thread()]


async def outcome(function, inputs, context=None):
    return await Call(function).invoke(inputs, context)


def misfits(function, inputs, provided=()):
    return [(m.path, m.rule, m.value) for m in Call(function).misfits(inputs, frozenset(provided))]


@pytest.mark.parametrize(
    ("function", "inputs", "result"),
    [
        (greet, {"name": "Ada"}, "Hello Ada!"),
        (greet, {"name": "Ada", "punctuation": "?", "times": 2}, "Hello Ada?Hello Ada?"),
        (anything, {"first": 1, "second": [2]}, {"first": 1, "second": [2]}),
        (typed, {"where": {"city": "Ulm"}, "untyped": {"a": 1}}, [Address("Ulm"), "a", {"a": 1}]),
        (late, {}, None),
        (late, {"value": 3}, 3),
    ],
)
async def test_inputs_reach_the_parameters_of_their_names_as_their_types(function, inputs, result):
    assert await outcome(function, inputs) == result


async def test_a_parameter_annotated_as_the_context_receives_it():
    assert Call(told).wants_context
    assert await outcome(told, {"name": "Ada"}, CONTEXT) == ["Ada", "t"]
    assert Call(maybe).wants_context
    assert await outcome(maybe, {}, CONTEXT) == "t"


async def test_a_plain_function_runs_in_a_thread():
    assert await outcome(plain, {"x": 3}) == [3, False]


async def test_the_callers_inputs_are_left_as_they_are():
    inputs = {"where": {"city": "Ulm"}}
    await outcome(typed, inputs)
    assert inputs == {"where": {"city": "Ulm"}}


def test_the_names_that_a_call_accepts_are_those_of_the_signature():
    assert Call(greet).accepts == {"name", "punctuation", "times"}
    assert Call(told).accepts == {"name"}
    assert Call(anything).accepts is None


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (greet, {}, "input 'name' is missing"),
        (greet, {"name": 3}, "input 'name' must be text"),
        (greet, {"name": None}, "input 'name' must be text"),
        (greet, {"name": "Ada", "times": "2"}, "input 'times' must be an integer"),
        (greet, {"name": "Ada", "tone": "low"}, "greet takes no input 'tone'; it takes name, punctuation, times"),
        (told, {"name": "Ada", "context": 1}, "told takes no input 'context'; it takes name"),
        (maybe, {"x": 1}, "maybe takes no input 'x'; it takes none"),
        (anything, {"first": "1"}, "input 'first' must be an integer"),
        (typed, {"where": {"city": "Ulm", "zip": "x"}}, "input 'where.zip' must be an integer"),
        (typed, {"where": {}}, "input 'where.city' is missing"),
        (typed, {"where": {"city": "Ulm", "street": 1}}, "input 'where.street' there is no such field"),
        (typed, {"where": {"city": "Ulm"}, "mode": "c"}, "input 'mode' must be one of 'a', 'b'"),
    ],
)
async def test_inputs_that_do_not_fit_fail_the_attempt_by_the_fields_name(function, inputs, message):
    with pytest.raises(TaskFailed) as caught:
        await outcome(function, inputs, CONTEXT)
    assert (caught.value.message, caught.value.error) == (message, "bad_input")


@pytest.mark.parametrize(
    ("function", "inputs", "found"),
    [
        (greet, {"name": "Ada"}, []),
        (greet, {}, [(".name", "is missing", None)]),
        (greet, {"name": 3, "times": "x"}, [(".name", "must be text", 3), (".times", "must be an integer", "x")]),
        (
            greet,
            {"name": "Ada", "nam": 1},
            [(".nam", "greet takes no such input; it takes name, punctuation, times", 1)],
        ),
        (anything, {"first": 1, "x": 1}, []),
        (typed, {"where": {"zip": "x"}}, [(".where.city", "is missing", None), (".where.zip", "must be an integer", "x")]),
        # What comes from elsewhere is not known yet.
        (greet, {"name": {"$from": "fetch"}}, []),
        (greet, {"name": {"$secret": "KEY"}}, []),
        (typed, {"where": {"city": {"$from": "fetch"}}}, []),
        (typed, {"where": {"$literal": 1}}, []),
    ],
)
def test_misfits_are_known_before_the_task_runs(function, inputs, found):
    assert sorted(misfits(function, inputs), key=str) == sorted(found, key=str)


def test_what_the_results_of_dependencies_may_fill_is_not_missing():
    assert misfits(greet, {}, provided={"name", "other"}) == []
    assert misfits(greet, {}, provided={"other"}) == [(".name", "is missing", None)]


class Base:
    id = "class"


class TakesInputs(Base):
    async def execute(self, inputs):
        return inputs


class TakesContext(Base):
    async def execute(self, inputs, context):
        return [inputs, context]


class TakesOptions(Base):
    async def execute(self, inputs, *, verbose=False, **options):
        return [inputs, verbose, options]


class TakesAnything(Base):
    async def execute(self, *arguments):
        return list(arguments)


@pytest.mark.parametrize(
    ("cls", "result"),
    [
        (TakesInputs, {"a": 1}),
        (TakesContext, [{"a": 1}, CONTEXT]),
        (TakesOptions, [{"a": 1}, False, {}]),
        (TakesAnything, [{"a": 1}, CONTEXT]),
    ],
)
async def test_a_class_gets_the_inputs_and_the_context_where_it_takes_one(cls, result):
    call = Call(cls())
    assert call.wants_context is (cls in (TakesContext, TakesAnything))
    assert await call.invoke({"a": 1}, CONTEXT) == result
    assert call.accepts is None
    assert list(call.misfits({"a": 1}, frozenset())) == []


async def test_a_class_is_free_to_change_the_inputs_that_it_gets():
    class Empties(Base):
        async def execute(self, inputs):
            inputs.clear()

    inputs = {"a": 1}
    await outcome(Empties(), inputs)
    assert inputs == {"a": 1}


@attrs.frozen
class Model:
    model: str
    temperature: float = 0.5


@executor("asks", params=Model)
async def asks():
    return None


class HasParams(TakesInputs):
    Params = Model


@pytest.mark.parametrize("executor", [asks, HasParams()], ids=["function", "class"])
def test_params_become_the_executors_class(executor):
    call = Call(executor)
    assert call.params({"model": "m", "temperature": 1}) == Model("m", 1.0)
    with pytest.raises(DoesNotFit) as caught:
        call.params({"temperature": "hot", "size": 1})
    assert sorted((m.path, m.rule) for m in caught.value.misfits) == [
        (".model", "is missing"),
        (".size", "there is no such field"),
        (".temperature", "must be a number"),
    ]


def test_params_of_an_executor_without_a_class_stay_as_they_are():
    assert Call(greet).params({"any": "thing"}) == {"any": "thing"}


def test_parameters_that_take_no_names_are_refused():
    @executor("positional")
    async def positional(x, /):
        return x

    @executor("many")
    async def many(*values):
        return values

    for function, rule in (
        (positional, "executor 'positional', parameter 'x': is positional-only, and inputs are given by name"),
        (many, "executor 'many', parameter 'values': is variadic positional, and inputs are given by name"),
    ):
        with pytest.raises(TypeError) as refused:
            Call(function)
        assert str(refused.value) == rule


def test_a_parameter_of_a_type_that_json_has_not_is_refused_by_its_name():
    @executor("imaginary")
    async def imaginary(z: complex):
        return z

    with pytest.raises(TypeError, match="executor 'imaginary', parameter 'z': no JSON value can be turned into"):
        Call(imaginary)


def test_params_of_a_type_that_json_has_not_are_refused_by_the_executors_name():
    @attrs.frozen
    class Odd:
        z: complex

    @executor("imaginary", params=Odd)
    async def imaginary():
        return None

    with pytest.raises(TypeError, match="executor 'imaginary', params: no JSON value can be turned into"):
        Call(imaginary)


def test_a_class_whose_fields_are_of_unknown_types_is_refused_by_the_parameters_name():
    @attrs.frozen
    class Odd:
        z: "Nowhere"  # noqa: F821 - as where an import is only for type checkers

    @executor("odd")
    async def odd(where: Odd):
        return None

    with pytest.raises(TypeError, match=r"executor 'odd', parameter 'where': the fields of .*: name 'Nowhere' is not defined"):
        Call(odd)


def test_each_call_is_made_once():
    calls = Calls({"greet": greet, "told": told})
    assert calls["greet"] is calls["greet"]
    assert list(calls) == ["greet", "told"]
    assert len(calls) == 2
    with pytest.raises(KeyError):
        calls["nope"]


def test_inputs_of_any_type_are_left_as_they_are():
    @executor("loose")
    async def loose(a: Any, b):
        return None

    assert misfits(loose, {"a": {"x": [1]}, "b": None}) == []
