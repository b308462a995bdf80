import datetime as dt
import pathlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Dict, List, Literal, NewType, Optional, TypedDict, Union  # noqa: UP035 - authors write these

import attrs
import pytest

from apflow.structuring import DoesNotFit, structure, structurer


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Mode(StrEnum):
    FAST = "fast"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Slug(str):
    __slots__ = ()


class Options(TypedDict):
    depth: int


Port = NewType("Port", int)


@attrs.frozen
class Address:
    city: str
    zip: int | None = None


@attrs.frozen
class Person:
    name: str
    address: Address
    others: list[Address] = attrs.field(factory=list)
    mode: Mode = Mode.FAST
    code: str | int = 0


@attrs.frozen
class Node:
    value: int
    children: "list[Node]" = attrs.field(factory=list)


attrs.resolve_types(Node, globals())


class Other:
    pass


@attrs.frozen
class Even:
    number: int = attrs.field()

    @number.validator
    def _even(self, _, value):
        if value % 2:
            raise ValueError("number must be even")


def misfits(value, cls):
    with pytest.raises(DoesNotFit) as caught:
        structurer(cls)(value)
    return [(misfit.path, misfit.rule, misfit.value) for misfit in caught.value.misfits]


@pytest.mark.parametrize(
    ("cls", "value", "structured"),
    [
        (Any, [1, "x"], [1, "x"]),
        (object, 1, 1),
        (str, "3", "3"),
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, True, True),
        (None, None, None),
        (int | None, None, None),
        (int | str, "3", "3"),
        (float | int, 3, 3),
        (Optional[dict], {"a": 1}, {"a": 1}),  # noqa: UP045
        (dict[str, Any] | list[Any], [1], [1]),
        (List, [1, "x"], [1, "x"]),  # noqa: UP006
        (Dict, {"a": 1}, {"a": 1}),  # noqa: UP006
        (list[float], [1, 2.5], [1.0, 2.5]),
        (list[str | int], ["a", 1], ["a", 1]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, Any], {"a": [1]}, {"a": [1]}),
        (Sequence[str], ["a"], ["a"]),
        (tuple, [1, "x"], (1, "x")),
        (tuple[int, str], [1, "x"], (1, "x")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (set[str], ["a", "a"], {"a"}),
        (str | list[str], "a", "a"),
        (str | list[str], ["a"], ["a"]),
        (Annotated[int, "seconds"], 3, 3),
        (Annotated[int | None, {"unhashable": True}], None, None),
        (Port, 80, 80),
        (Options, {"depth": 1}, {"depth": 1}),
        (Literal["a", 1], 1, 1),
        (Literal["a"] | None, None, None),
        (Colour, "red", Colour.RED),
        (Mode, "fast", Mode.FAST),
        (Level, 2, Level.HIGH),
        (Slug, "a", Slug("a")),
        (dt.datetime, "2024-05-06T07:08:09Z", dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)),
        (dt.date, "2024-05-06", dt.date(2024, 5, 6)),
        (Union[dt.datetime, int], 5, 5),  # noqa: UP007
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        (pathlib.Path, "/a", pathlib.Path("/a")),
        (Address, {"city": "Ulm"}, Address("Ulm")),
        (Address | None, {"city": "Ulm", "zip": 1}, Address("Ulm", 1)),
        (list[Address], [{"city": "Ulm"}], [Address("Ulm")]),
        (Node, {"value": 1, "children": [{"value": 2}]}, Node(1, [Node(2)])),
    ],
)
def test_a_value_that_fits_becomes_the_type(cls, value, structured):
    result = structurer(cls)(value)
    assert result == structured
    assert type(result) is type(structured)


@pytest.mark.parametrize(
    ("cls", "value", "rule"),
    [
        (str, 3, "must be text"),
        (int, "3", "must be an integer"),
        (int, True, "must be an integer"),
        (int, 3.0, "must be an integer"),
        (float, "3", "must be a number"),
        (float, True, "must be a number"),
        (bool, 1, "must be true or false"),
        (bool, "true", "must be true or false"),
        (None, 0, "must be null"),
        (int | None, "x", "must be an integer or null"),
        (dict[str, Any] | str, 3, "must be an object or text"),
        (list, "abc", "must be an array"),
        (list[str], "abc", "must be an array"),
        (Sequence[str], "abc", "must be an array"),
        (set[str], {"a": 1}, "must be an array"),
        (set, [["a"]], "must be an array without objects and arrays in it"),
        (tuple[int, str], [1], "must be an array of 2"),
        (dict[str, int], [1], "must be an object"),
        (Port, "80", "must be an integer"),
        (Slug, 3, "must be text"),
        (Literal["a", 1], True, "must be one of 'a', 1"),
        (Literal["a"] | None, "b", "must be one of 'a'"),
        (Colour, "green", "must be one of 'red', 'blue'"),
        (Colour | None, "green", "must be one of 'red', 'blue'"),
        (Mode, "slow", "must be one of 'fast'"),
        (Level, 3, "must be one of 1, 2"),
        (Level, True, "must be one of 1, 2"),
        (Level, 1.0, "must be one of 1, 2"),
        (dt.datetime, 5, "must be a date and time (RFC 3339)"),
        (dt.datetime, "today", "must be a date and time (RFC 3339)"),
        (dt.date, "2024-13-01", "must be a date (RFC 3339)"),
        (uuid.UUID, "x", "must be a UUID"),
        (pathlib.Path, 3, "must be a path"),
        (Address, "Ulm", "must be an object"),
        (Address, ["Ulm"], "must be an object"),
        (Address, None, "must be an object"),
        (Address | None, 3, "must be an object"),
        (Even, {"number": 3}, "number must be even"),
        (int | Other, "x", f"must be left out: no JSON value can be turned into {Other}"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_rule(cls, value, rule):
    assert misfits(value, cls) == [("", rule, value)]


def test_every_misfit_is_named_with_its_place():
    value = {
        "name": 1,
        "address": {"zip": "x", "street": "y"},
        "others": [{"city": "Ulm"}, {"city": None}, 7],
        "mode": "slow",
        "code": 1.5,
        "age": 3,
    }
    assert sorted(misfits(value, Person), key=str) == sorted(
        [
            (".name", "must be text", 1),
            (".address.city", "is missing", None),
            (".address.zip", "must be an integer or null", "x"),
            (".address.street", "there is no such field", "y"),
            (".others.1.city", "must be text", None),
            (".others.2", "must be an object", 7),
            (".mode", "must be one of 'fast'", "slow"),
            (".code", "must be text or an integer", 1.5),
            (".age", "there is no such field", 3),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("cls", "value", "places"),
    [
        (list[int], [1, "2", 3, True], [".1", ".3"]),
        (list[list[int]], [[1], ["1"]], [".1.0"]),
        (dict[str, list[int]], {"a": [1], "b": [1, "x"]}, [".b.1"]),
        (tuple[int, str], ["a", 1], [".0", ".1"]),
        (set[tuple[int, str]], [[1, "a"], [1, 2]], [".1.1"]),
        (dict[str, Address], {"k": {"city": 1}}, [".k.city"]),
        (Options, {"depth": "1", "more": 1}, [".depth", ".more"]),
        (Node, {"value": 1, "children": [{"value": 1, "children": [{}]}]}, [".children.0.children.0.value"]),
        (list[Mode], ["fast", "slow"], [".1"]),
    ],
)
def test_places_lead_into_arrays_and_objects(cls, value, places):
    assert sorted(path for path, _, _ in misfits(value, cls)) == places


def test_a_misfit_says_in_one_line_where_and_what():
    with pytest.raises(DoesNotFit) as caught:
        structure({"city": 1, "zip": "x"}, Address)
    assert sorted(str(caught.value).split("; ")) == ["city: must be text", "zip: must be an integer or null"]


@pytest.mark.parametrize("cls", [Iterable[str], dt.timedelta, complex, type[int]])
def test_a_type_that_no_json_value_can_become_is_refused_before_there_is_a_value(cls):
    with pytest.raises(TypeError, match="no JSON value can be turned into"):
        structurer(cls)
