"""Inputs when a tree is created: what is known fits, and what may come to fit is never refused."""

from __future__ import annotations

import pytest

from apflow_hookspecs import Problem, hookimpl
from apflow_jsonschema import MOST_PROBLEMS


def given(schema, inputs, executor="any", dependencies=()):
    """A task with a schema under a group, beside others to which it may refer."""
    task = {"id": "t", "parent_id": "root", "executor": executor, "inputs": inputs, "dependencies": list(dependencies)}
    others = [{"id": key, "parent_id": "root", "executor": "give"} for key in ("a", "b")]
    return [{"id": "root"}, {**task, "schemas": {"input_schema": schema}}, *others]


FROM_A = {"$from": "a"}
NUMBERS = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "integer"}, "x", "= 'x': must be an integer"),
        ({"type": ["boolean", "null"]}, 1, "= 1: must be true or false or null"),
        ({"enum": ["red", 1]}, "blue", "= 'blue': must be one of 'red', 1"),
        ({"enum": list(range(12))}, "x", "= 'x': must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
        ({"const": [1]}, [2], "= [2]: must be [1]"),
        ({"minimum": 3}, 2, "= 2: must be at least 3"),
        ({"exclusiveMaximum": 3}, 3, "= 3: must be below 3"),
        ({"multipleOf": 3}, 4, "= 4: must be a multiple of 3"),
        ({"minLength": 3}, "ab", "= 'ab': must have at least 3 characters"),
        ({"pattern": "^[a-z]+$"}, "A", "= 'A': must match '^[a-z]+$'"),
        ({"maxItems": 1}, [1, 2], "= [1, 2]: must have at most 1 items"),
        ({"uniqueItems": True}, [1, 1], "= [1, 1]: must not hold an item twice"),
        ({"contains": {"const": 1}}, [2], "= [2]: must hold an item that fits `contains`"),
        ({"items": {"properties": {"b": {"type": "string"}}}}, [{"b": 1}], ".0.b = 1: must be text"),
        ({"required": ["b"]}, {}, ".b = None: is missing"),
        ({"properties": {"b": {}}, "additionalProperties": False}, {"c": 1}, ".c = 1: must not be there; the names are 'b'"),
        ({"properties": {"b": False}}, {"b": 1}, "= 1: must not be there"),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 1, "= 1: must be text, or must be at least 5"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 7, "= 7: must fit exactly one of 2 alternatives"),
        ({"not": {"const": 1}}, 1, "= 1: must not fit `not` of its schema"),
        ({"if": {"const": 1}, "then": {"type": "string"}}, 1, "= 1: must be text"),
        ({"unevaluatedItems": False}, [1], "= [1]: must fit `unevaluatedItems` of its schema"),
    ],
)
async def test_a_misfit_is_told_with_its_place_its_value_and_its_rule(create, schema, value, told):
    (problem,) = await create(given({"properties": {"v": schema}}, {"v": value}))
    assert problem.startswith("task 't', inputs.v")
    assert problem.endswith(told)


SECRET = {"writeOnly": True}
CANARY = {"a": ["canary"]}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({**SECRET, "type": "integer"}, "canary", "inputs.v = …: must be an integer"),
        ({**SECRET, "items": {"type": "integer"}}, ["canary"], "inputs.v.0 = …: must be an integer"),
        ({**SECRET, "$ref": "#/$defs/n"}, "canary", "inputs.v = …: must be an integer"),
        (
            {**SECRET, "anyOf": [{"type": "integer"}, {"type": "null"}]},
            "canary",
            "inputs.v = …: must be an integer, or must be null",
        ),
        ({**SECRET, "additionalProperties": False}, CANARY, "inputs.v.a = …: must not be there; the names are none"),
        ({**SECRET, "maxProperties": 0}, CANARY, "inputs.v = …: must have at most 0 names"),
        ({"properties": {"a": SECRET}, "maxProperties": 0}, CANARY, "inputs.v = {'a': …}: must have at most 0 names"),
        ({"properties": {"a": SECRET}, "type": "string"}, CANARY, "inputs.v = {'a': …}: must be text"),
        ({**SECRET, "items": {"type": "integer"}}, ["canary", FROM_A], "inputs.v.0 = …: must be an integer"),
        ({"writeOnly": False, "type": "integer"}, "shown", "inputs.v = 'shown': must be an integer"),
    ],
)
async def test_what_is_write_only_is_not_shown(create, schema, value, told):
    (problem,) = await create(given({"properties": {"v": schema}, "$defs": {"n": {"type": "integer"}}}, {"v": value}))
    assert problem == f"task 't', {told}"


async def test_what_is_write_only_is_not_shown_where_its_schema_cannot_be_used(create):
    schema = {"properties": {"v": SECRET}, "allOf": [{"$ref": "#"}]}
    (problem,) = await create(given(schema, {"v": "canary"}))
    assert problem.startswith("task 't', inputs = {'v': …}: cannot be checked")


async def test_all_misfits_of_a_task_are_told_up_to_a_bound(create):
    schema = {"required": ["x", "y"], "properties": {"v": {"items": {"type": "integer"}}}}
    assert [line.partition(": ")[2] for line in await create(given(schema, {"v": [1, "a", 2.5]}))] == [
        "is missing",
        "is missing",
        "must be an integer",
        "must be an integer",
    ]
    assert len(await create(given(schema, {"v": ["a"] * 1000}))) == MOST_PROBLEMS


class Keeper:
    @hookimpl
    def apflow_resolve_secret(self, name):
        return f"the secret {name}"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, FROM_A),
        ({"type": "string"}, {"$secret": "password"}),
        ({"type": "string"}, {"$from": "a", "path": "/name"}),
        ({"enum": [[1]]}, [FROM_A]),
        ({"const": {"x": 1}}, {"x": FROM_A}),
        ({"uniqueItems": True, "contains": {"const": 5}}, [FROM_A, {"$from": "b"}]),
        ({"anyOf": [{"properties": {"x": {"const": 1}}}, {"type": "null"}]}, {"x": FROM_A}),
        ({"oneOf": [{"prefixItems": [{"const": 1}]}, {"prefixItems": [{"const": 2}]}]}, [FROM_A]),
        ({"not": {"required": ["x"]}}, [FROM_A]),
        ({"not": {"items": {"type": "object"}}}, [FROM_A]),
        ({"if": {"properties": {"x": {"type": "object"}}}, "then": {"required": ["y"]}}, {"x": FROM_A}),
        ({"properties": {"x": {"$ref": "#/$defs/n"}}, "unevaluatedProperties": False}, {"x": FROM_A}),
        ({"$ref": "#/$defs/n"}, FROM_A),
        ({"type": "object", "properties": {"x": {"const": {"$from": "a"}}}}, {"x": {"$literal": {"$from": "a"}}}),
    ],
)
async def test_what_may_come_to_fit_is_not_refused(create, schema, value):
    tasks = given({"properties": {"v": schema}, "$defs": {"n": {"type": "integer"}}}, {"v": value})
    assert await create(tasks, plugins={"keeper": Keeper()}) == []


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "string"}, [FROM_A], "must be text"),
        ({"maxItems": 1}, [FROM_A, FROM_A], "must have at most 1 items"),
        (NUMBERS, {"x": FROM_A, "y": "no"}, "must be an integer"),
        ({"required": ["y"]}, {"x": FROM_A}, "is missing"),
        ({"allOf": [{"items": {"anyOf": [{"const": 1}, {"const": 2}]}}]}, [FROM_A, 3], "must be 1, or must be 2"),
        ({"type": "integer"}, {"$literal": FROM_A}, "must be an integer"),
    ],
)
async def test_what_cannot_come_to_fit_is_refused(create, schema, value, told):
    (problem,) = await create(given({"properties": {"v": schema}}, {"v": value}))
    assert problem.endswith(f": {told}")


async def test_references_stay_open_where_a_schema_leads_back_to_its_top(create):
    tree = {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"n": {"const": 1}, "in": {"$ref": "#"}}}
    assert await create(given(tree, {"in": {"in": {"n": FROM_A}}})) == []
    assert len(await create(given(tree, {"in": {"in": {"n": 2, "in": FROM_A}}}))) == 1


async def test_the_result_of_a_dependency_may_fill_an_input(create):
    schema = {"required": ["a", "b"], "minProperties": 2, "properties": {"a": {"type": "integer"}}}
    assert await create(given(schema, {}, dependencies=["a", "b"])) == []
    assert await create(given(schema, {}, dependencies=["a"])) == ["task 't', inputs.b = None: is missing"]
    assert await create(given({"const": {"a": 1}}, {}, dependencies=["a"])) == []
    assert await create(given({"properties": {"a": False}}, {}, dependencies=["a"])) == []


async def test_an_executor_is_taken_at_its_word(create):
    told = await create([{"id": "t", "executor": "take", "inputs": {"count": "two", "colour": "red"}}])
    assert told == [
        "task 't', inputs.count = 'two': must be an integer",
        "task 't', inputs.colour = 'red': must not be there; the names are 'count'",
    ]


async def test_what_breaks_both_schemas_is_told_once(create):
    told = await create(given({"properties": {"count": {"type": "integer"}}}, {"count": "two"}, "take"))
    assert told == ["task 't', inputs.count = 'two': must be an integer"]


async def test_a_schema_of_an_executor_that_cannot_be_used_is_passed_over(create, run):
    tasks = [{"id": "t", "executor": "broken", "inputs": {"a": 1}}]
    assert await create(tasks) == []
    assert (await run(tasks)).root.result == {"a": 1}


class Never:
    @hookimpl
    def apflow_validate_task(self, task):
        yield Problem("must not be", field="executor", value=task.executor)


class NeverLater:
    @hookimpl
    async def apflow_validate_task(self, task):
        return [Problem("must not be, said later", field="name", value=task.name)]


@pytest.mark.parametrize("size", [1, 5000])
async def test_validators_of_others_stand_beside_it_and_are_heard_first(create, size):
    tasks = [{"id": "t", "executor": "any", "inputs": {"v": ["x"] * size}, "schemas": {"input_schema": NUMBERS}}]
    told = await create(tasks, plugins={"a": Never(), "z": NeverLater()})
    assert [line.partition(": ")[2] for line in told] == ["must not be", "must not be, said later", "must be an integer"]
