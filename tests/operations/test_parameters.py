from datetime import datetime
from typing import Annotated, Any

import pytest
from attrs import frozen
from msgspec import Meta

from apflow.operations import parameters
from apflow_hookspecs import TaskStatus
from apflow_hookspecs.errors import InvalidParams


@frozen
class Sample:
    """A sample."""

    task_id: Annotated[str, Meta(description="Which.")]
    limit: Annotated[int, Meta(ge=1)] = 100
    deep: bool = False
    names: tuple[str, ...] | None = None
    tasks: list[Any] | None = None
    wait: float | None = None
    status: TaskStatus | tuple[TaskStatus, ...] | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None


@frozen
class Part:
    """A part."""

    size: int


@frozen
class Whole:
    """A whole."""

    part: Part


ALL = "task_id, limit, deep, names, tasks, wait, status, since"


def refusal(params, cls=Sample):
    with pytest.raises(InvalidParams) as refused:
        parameters.structure(cls, params)
    return [str(problem) for problem in refused.value.problems] or refused.value.message


def test_named_parameters_fill_the_fields_and_the_others_have_their_defaults():
    assert parameters.structure(Sample, {"task_id": "a", "names": ["x", "y"]}) == Sample("a", names=("x", "y"))


def test_positional_parameters_come_in_the_order_of_the_fields():
    assert parameters.structure(Sample, ["a", 5, True]) == Sample("a", 5, deep=True)


def test_too_many_positional_parameters_are_refused():
    assert refusal(list("abcdefghi")) == f"9 positional parameters, and there are at most 8: {ALL}"


def test_a_text_is_not_a_list_of_letters():
    assert "an object of named ones or an array" in refusal("ab")


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"task_id": 3}, "task_id = 3: must be text"),
        ({"task_id": "a", "limit": "3"}, "limit = '3': must be an integer"),
        ({"task_id": "a", "limit": True}, "limit = True: must be an integer"),
        ({"task_id": "a", "limit": 3.5}, "limit = 3.5: must be an integer"),
        ({"task_id": "a", "limit": 0}, "limit = 0: must be an integer >= 1"),
        ({"task_id": "a", "deep": 1}, "deep = 1: must be true or false"),
        ({"task_id": "a", "names": ["x", 7]}, "names[1] = 7: must be text"),
        ({"task_id": "a", "limit": None}, "limit = None: must be an integer"),
        ({"task_id": "a", "names": 1}, "names = 1: must be an array or null"),
        (
            {"task_id": "a", "status": ["done"]},
            "status[0] = 'done': must be one of pending, in_progress, waiting, completed, failed, cancelled, skipped",
        ),
        (
            {"task_id": "a", "since": "2024-01-01T00:00:00"},
            "since = '2024-01-01T00:00:00': must be a date and time (RFC 3339) with a timezone component",
        ),
        ({}, "parameter 'task_id' is missing"),
        (
            {"task_id": "a", "limt": 3},
            f"limt = 3: unknown parameter; known: {ALL}; did you mean 'limit'?",
        ),
    ],
)
def test_a_refusal_names_the_parameter_the_value_and_the_rule(params, problem):
    assert refusal(params) == [problem]


def test_everything_that_is_wrong_is_reported_together():
    assert len(refusal({"limit": "3", "deep": "yes", "other": 1})) == 4


def test_an_integer_is_a_number_of_seconds():
    assert parameters.structure(Sample, {"task_id": "a", "wait": 1}).wait == 1.0


def test_values_that_may_be_anything_are_handed_on_as_they_are():
    task = {"name": "x", "inputs": {"a": {1, 2}}}
    assert parameters.structure(Sample, {"task_id": "a", "tasks": [task]}).tasks[0] is task


def test_the_schema_is_an_object_that_holds_no_others():
    schema = parameters.schema(Sample)
    assert schema["type"] == "object"
    assert schema["required"] == ["task_id"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["task_id"] == {"type": "string", "description": "Which."}
    assert schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "default": 100}


def test_the_schema_of_nested_classes_is_whole():
    schema = parameters.schema(Whole)
    assert schema["properties"]["part"] == {"$ref": "#/$defs/Part"}
    assert schema["$defs"]["Part"]["required"] == ["size"]
