from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from attrs import frozen

from apflow.operations.describe import example_task, executor_schema, output_schema
from apflow_hookspecs import TaskContext, Wait, executor


@frozen
class Address:
    street: str
    number: int = 1


@frozen
class Box:
    width: float


class Odd:
    pass


@executor("greet", summary="Greet somebody")
async def greet(name: str, times: int = 1, *, context: TaskContext) -> dict[str, str]:
    return {"text": name * times}


def test_a_function_executors_schema_is_its_signature_without_the_context():
    assert executor_schema(greet) == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "times": {"type": "integer", "default": 1}},
        "required": ["name"],
        "additionalProperties": False,
    }


def test_attrs_classes_stand_under_defs():
    @executor("send")
    async def send(to: Address, copies: list[Address]) -> None: ...

    schema = executor_schema(send)
    assert schema["properties"]["to"] == {"$ref": "#/$defs/Address"}
    assert schema["properties"]["copies"] == {"type": "array", "items": {"$ref": "#/$defs/Address"}}
    assert schema["$defs"]["Address"]["required"] == ["street"]


def test_a_type_that_json_schema_cannot_express_takes_anything():
    @executor("odd")
    async def odd(one: Address | Box, path: Path, thing: Odd, free, maybe: Odd | None = None) -> Any: ...

    properties = executor_schema(odd)["properties"]
    assert properties["one"] == {}
    assert properties["path"] == {"type": "string"}
    assert properties["thing"] == {"title": "Odd"}
    assert properties["free"] == {}
    assert properties["maybe"]["default"] is None


def test_a_default_that_is_not_json_shows_only_in_what_is_required():
    @executor("sized")
    async def sized(box: Box = Box(1.0), odd: Any = Odd()) -> None: ...  # noqa: B008 - immutable

    schema = executor_schema(sized)
    assert schema["required"] == []
    assert schema["properties"]["box"]["default"] == {"width": 1.0}
    assert schema["properties"]["odd"] == {}


def test_other_inputs_are_allowed_where_the_function_takes_them():
    @executor("open")
    async def takes_all(**inputs: Any) -> None: ...

    @executor("numbers")
    async def takes_numbers(**inputs: int) -> None: ...

    assert executor_schema(takes_all)["additionalProperties"] is True
    assert executor_schema(takes_numbers)["additionalProperties"] == {"type": "integer"}


class Shell:
    id = "shell"
    input_schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    output_schema = {"type": "object"}

    async def execute(self, inputs):
        return inputs


class Plain:
    id = "plain"

    async def execute(self, inputs):
        return inputs


def test_a_class_executors_own_schemas_are_used_as_they_are():
    assert executor_schema(Shell()) == Shell.input_schema
    assert output_schema(Shell()) == {"type": "object"}


def test_a_class_executor_without_schemas_takes_any_object_and_gives_anything():
    assert executor_schema(Plain()) == {"type": "object"}
    assert output_schema(Plain()) == {}


def test_the_output_schema_is_the_return_type_without_wait():
    @executor("approve")
    async def approve(question: str) -> bool | Wait: ...

    @executor("silent")
    async def silent(question: str): ...

    assert output_schema(greet) == {"type": "object", "additionalProperties": {"type": "string"}}
    assert output_schema(approve) == {"type": "boolean"}
    assert output_schema(silent) == {}


def test_an_example_task_has_a_sample_for_each_required_input():
    @executor("book")
    async def book(
        *,
        where: Address,
        kind: Literal["single", "double"],
        nights: Annotated[int, msgspec.Meta(ge=2)],
        price: float,
        tags: list[str],
        pair: tuple[int, str],
        note: str | None,
        extra: bool = False,
    ) -> None: ...

    assert example_task(book) == {
        "name": "book",
        "executor": "book",
        "inputs": {
            "where": {"street": "text"},
            "kind": "double",
            "nights": 2,
            "price": 1.0,
            "tags": ["text"],
            "pair": [1, "text"],
            "note": "text",
        },
    }


def test_an_example_task_of_a_class_executor_comes_from_its_schema():
    assert example_task(Shell()) == {"name": "shell", "executor": "shell", "inputs": {"command": "text"}}
    assert example_task(Plain()) == {"name": "plain", "executor": "plain", "inputs": {}}
