"""Answers against the schemas of waits, and lines that were typed."""

from __future__ import annotations

import pytest

from apflow.answers import MOST_MISFITS, misfits, refuse_misfits, typed
from apflow_hookspecs import Task, Wait
from apflow_hookspecs.errors import WrongAnswer

CHOICE = {"enum": ["yes", "no"]}
ORDER = {
    "type": "object",
    "required": ["size", "count"],
    "properties": {"size": {"enum": ["S", "L"]}, "count": {"type": "integer", "minimum": 1, "maximum": 9}},
    "additionalProperties": False,
}
ENDLESS = {"allOf": [{"$ref": "#"}]}


@pytest.mark.parametrize(
    ("answer", "schema"),
    [("yes", CHOICE), ({"size": "S", "count": 2}, ORDER), (None, {"type": ["string", "null"]}), ([1], {}), (0, {"const": 0})],
)
def test_what_fits_has_no_misfits(answer, schema):
    assert misfits(answer, schema) == []


@pytest.mark.parametrize(
    ("answer", "schema", "told"),
    [
        ("maybe", CHOICE, [("", "must be one of 'yes', 'no'")]),
        ("x", {"type": "boolean"}, [("", "must be yes or no")]),
        (True, {"type": ["integer", "null"]}, [("", "must be a whole number or null")]),
        ({"size": "S"}, ORDER, [("", "must hold 'count'")]),
        ({}, ORDER, [("", "must hold 'size', 'count'")]),
        ({"size": "S", "count": 10}, ORDER, [(".count", "must be 9 or less")]),
        ({"size": "M", "count": 0}, ORDER, [(".size", "must be one of 'S', 'L'"), (".count", "must be 1 or more")]),
        (["a"], {"items": {"minLength": 2}}, [(".0", "must be 2 characters long or longer")]),
        ("abc", {"pattern": "^[0-9]+$"}, [("", "must match '^[0-9]+$'")]),
        ([1, 1], {"uniqueItems": True}, [("", "must fit: [1, 1] has non-unique elements")]),
    ],
)
def test_what_does_not_fit_is_told_with_its_place_and_its_rule(answer, schema, told):
    assert misfits(answer, schema) == told


def test_many_misfits_are_told_up_to_a_bound():
    assert len(misfits(["x"] * 1000, {"items": {"type": "integer"}})) == MOST_MISFITS


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (ENDLESS, "it refers to itself without end"),
        ({"$ref": "https://example.invalid/schema.json"}, "https://example.invalid/schema.json"),
        ({"type": "colour"}, "colour"),
        ({"$schema": "https://example.invalid/dialect"}, "is not known here"),
        ({"$ref": "#/items/0/x", "items": 5}, "cannot be held to the schema"),
    ],
)
def test_a_schema_that_cannot_be_used_refuses_the_answer_and_says_why(schema, why):
    ((place, rule),) = misfits("x", schema)
    assert place == ""
    assert rule.startswith("cannot be held to the schema of the wait: ")
    assert why in rule


def test_a_schema_may_be_of_an_older_draft():
    tuple_of_seven = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert misfits(["x"], tuple_of_seven) == [(".0", "must be a whole number")]


def test_a_wrong_answer_names_the_task_the_value_and_the_rule():
    task = Task(n=0, id="t", key="ask", name="ask", tree_id="t", executor="ask")
    with pytest.raises(WrongAnswer) as refused:
        refuse_misfits("maybe", Wait.for_input("Go on?", CHOICE), task)
    assert refused.value.message == "task 'ask', answer = 'maybe': must be one of 'yes', 'no'"


def test_any_answer_fits_a_wait_without_a_schema():
    task = Task(n=0, id="t", key="ask", name="ask", tree_id="t", executor="ask")
    assert refuse_misfits({"any": "thing"}, Wait.for_input("Go on?"), task) is None


@pytest.mark.parametrize(
    ("line", "schema", "answer"),
    [
        ("5", {"type": "string"}, "5"),
        (" yes ", {"type": "string"}, " yes "),
        ("yes", CHOICE, "yes"),
        ("Y", {"type": "boolean"}, True),
        ("no", {"type": "boolean"}, False),
        ("true", {"type": "boolean"}, True),
        ("perhaps", {"type": "boolean"}, "perhaps"),
        ("5", {"type": "integer"}, 5),
        ("five", {"type": "integer"}, "five"),
        ('{"size": "S"}', ORDER, {"size": "S"}),
        ("5", {"type": ["string", "null"]}, "5"),
        ("null", {"type": ["string", "null"]}, None),
        ("5", {"anyOf": [{"type": "string"}, {"type": "boolean"}]}, "5"),
        ("5", None, 5),
        ("five", None, "five"),
        ("NaN", None, "NaN"),
        ("[" * 100_000, None, "[" * 100_000),
    ],
)
def test_a_typed_line_becomes_the_answer_that_the_schema_asks_for(line, schema, answer):
    got = typed(line, schema)
    assert got == answer
    assert type(got) is type(answer)
