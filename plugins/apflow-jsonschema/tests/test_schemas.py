"""Schemas that can be used, and those that cannot."""

from __future__ import annotations

import pytest

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def with_schema(schema, which="input_schema", **inputs):
    return [{"id": "t", "executor": "any", "inputs": inputs, "schemas": {which: schema}}]


@pytest.mark.parametrize("which", ["input_schema", "output_schema"])
@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (5, "{} = 5: must be an object or true or false"),
        (None, "{} = None: must be an object or true or false"),
        ({"minimum": "low"}, "{}.minimum = 'low': must be a number"),
        ({"properties": {"a": {"required": "b"}}}, "{}.properties.a.required = 'b': must be a list"),
        ({"pattern": "["}, "{}.pattern = '[': must be of the format 'regex'"),
        ({"$ref": "https://example.invalid/s.json"}, "must refer to nothing outside itself"),
        ({"$ref": "file:///etc/passwd"}, "must refer to nothing outside itself"),
        ({"$ref": "#/$defs/none"}, "must refer to nothing outside itself"),
        ({"$ref": "#/$defs/a/x", "$defs": {"a": {"enum": ["y"]}}}, "must refer to nothing outside itself"),
        ({"items": {"$dynamicRef": "elsewhere#node"}}, "must refer to nothing outside itself"),
        ({"$ref": "#/here", "here": {"$ref": "https://example.invalid"}}, "must refer to nothing outside itself"),
        ({"$ref": "#/title", "title": "text"}, "must refer to schemas, and this is none"),
        ({"$schema": "https://example.invalid/dialect"}, "{}.$schema = 'https://example.invalid/dialect': must be one of"),
        ({"$schema": []}, "{}.$schema = []: must be one of"),
        ({"properties": {"a": {"$schema": DRAFT_7}}}, "must keep to one `$schema`, that of its top"),
    ],
)
async def test_a_schema_that_cannot_be_used_is_refused(create, schema, told, which):
    (problem,) = await create(with_schema(schema, which))
    assert problem.startswith(f"task 't', schemas.{which}")
    assert told.format(f"schemas.{which}") in problem


async def test_every_fault_of_both_schemas_is_told(create):
    schemas = {"input_schema": {"type": 1, "minLength": -1}, "output_schema": {"required": [1]}}
    told = await create([{"id": "t", "executor": "any", "schemas": schemas}])
    assert [line.partition(" = ")[0].partition("schemas.")[2] for line in told] == [
        "input_schema.type",
        "input_schema.minLength",
        "output_schema.required.0",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$schema": DRAFT_2020, "$ref": "#/$defs/a", "$defs": {"a": {"$schema": DRAFT_2020, "type": "object"}}},
        {"$id": "https://example.invalid/s", "$ref": "https://example.invalid/s#a", "$defs": {"x": {"$anchor": "a"}}},
        {"$schema": DRAFT_7, "definitions": {"a": {"type": "object"}}, "$ref": "#/definitions/a"},
        {"properties": {"$ref": {"type": "string"}, "$schema": {"type": "string"}}},
    ],
)
async def test_what_refers_to_itself_only_can_be_used(create, schema):
    assert await create(with_schema(schema, a=1)) == []


@pytest.mark.parametrize(("dialect", "told"), [(DRAFT_7, 1), (DRAFT_2020, 0)])
async def test_a_schema_is_read_as_its_draft_says(create, dialect, told):
    # A list of schemas under `items` and `dependencies` are older than draft 2019-09.
    schema = {"$schema": dialect, "dependencies": {"a": ["b"]}}
    assert len(await create(with_schema(schema, a=1))) == told


async def test_a_recursive_schema_goes_as_deep_as_the_value(create):
    node = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}
    deep = {"n": "x"}
    for _ in range(20):
        deep = {"n": 1, "next": deep}
    (told,) = await create(with_schema(node, **deep))
    assert told == f"task 't', inputs{'.next' * 20}.n = 'x': must be an integer"


ENDLESS = {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
WITHOUT_END = "cannot be checked: it is too deep for its schema, or that refers to itself without end"


async def test_a_schema_that_refers_to_itself_without_end_refuses_inputs(create):
    assert await create(with_schema(ENDLESS)) == [f"task 't', inputs = {{}}: {WITHOUT_END}"]


async def test_a_schema_that_refers_to_itself_without_end_fails_the_attempt(run):
    done = await run(with_schema(ENDLESS, "output_schema"))
    assert done.root.error == {
        "code": "bad_result",
        "message": f"the result {WITHOUT_END}",
        "details": {"path": "", "rule": WITHOUT_END},
    }


async def test_a_format_is_checked_where_the_operator_says_so(create):
    tasks = with_schema({"properties": {"day": {"format": "date"}}}, day="tomorrow")
    assert await create(tasks) == []
    assert await create(tasks, sections={"jsonschema": {"formats": True}}) == [
        "task 't', inputs.day = 'tomorrow': must be of the format 'date'"
    ]


async def test_the_schema_of_a_group_is_looked_at_and_its_inputs_are_not(create):
    child = {"id": "c", "parent_id": "g", "executor": "any"}
    assert await create([{"id": "g", "schemas": {"input_schema": {"required": ["a"]}}}, child]) == []
    assert len(await create([{"id": "g", "schemas": {"input_schema": {"type": 1}}}, child])) == 1
