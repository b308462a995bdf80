import json
from collections import OrderedDict
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apflow.values import MAX_DEPTH, BadValue, checked, decode, encode


def nested(depth, leaf=1):
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@given(JSON)
def test_what_passes_comes_back_from_its_bytes_as_it_was(value):
    passed = checked(value)
    back = decode(encode(passed))
    assert back == value
    assert json.dumps(back) == json.dumps(value)  # types and order too: 1 is not True, and 0.0 is not -0.0


@given(JSON)
def test_a_copy_shares_nothing_that_can_be_changed(value):
    mutable = set()
    open_values = [value]
    while open_values:
        item = open_values.pop()
        if isinstance(item, list | dict):
            mutable.add(id(item))
            open_values.extend(item.values() if isinstance(item, dict) else item)
    open_values = [checked(value)]
    while open_values:
        item = open_values.pop()
        assert id(item) not in mutable
        if isinstance(item, list | dict):
            open_values.extend(item.values() if isinstance(item, dict) else item)


def test_tuples_become_lists_and_subclasses_what_they_are_for_json():
    class Colour(StrEnum):
        RED = "red"

    class Level(IntEnum):
        HIGH = 2

    value = checked((OrderedDict(b=Colour.RED, a=Level.HIGH), (1.5, True)))
    assert value == [{"b": "red", "a": 2}, [1.5, True]]
    assert [type(item) for item in value[0].values()] == [str, int]
    assert list(value[0]) == ["b", "a"]


class Plain(Enum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        (float("nan"), "", "nan is not a number that JSON has"),
        ({"a": [0, {"b": float("inf")}]}, "/a/1/b", "inf is not a number that JSON has"),
        ([2**64], "/0", "an integer must fit into 64 bits"),
        ({"n": -(2**63) - 1}, "/n", "an integer must fit into 64 bits"),
        ({"data": b"x"}, "/data", "must be JSON, and is of type builtins.bytes"),
        ({1, 2}, "", "must be JSON, and is of type builtins.set"),
        ([object()], "/0", "must be JSON, and is of type builtins.object"),
        ({"one": Plain.ONE}, "/one", "must be JSON, and is of type test_values.Plain"),
        ([MappingProxyType({})], "/0", "must be JSON, and is of type builtins.mappingproxy"),
        ({"a": {1: 2}}, "/a", "the name 1 must be text"),
        ({True: 2}, "", "the name True must be text"),
        ({None: 2}, "", "the name None must be text"),
        ({"t": "a\0b"}, "/t", "text must not hold the character NUL"),
        (["ok", "\ud800"], "/1", "text must not hold a lone surrogate"),
        ({"a\0": 1}, "/a\0", "text must not hold the character NUL"),
        ({"a~b/c": [float("nan")]}, "/a~0b~1c/0", "nan is not a number that JSON has"),
        ({"größe": float("nan")}, "/größe", "nan is not a number that JSON has"),
        ({"\ud800": 1}, "/\\ud800", "text must not hold a lone surrogate"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(value, path, rule):
    with pytest.raises(BadValue) as caught:
        checked(value)
    assert (caught.value.path, caught.value.rule.replace(f"{__name__}.", "test_values.")) == (path, rule)
    assert str(caught.value).startswith(f"at {path or 'the top'}: ")


def test_a_value_may_be_as_deep_as_the_bound_and_no_deeper():
    assert checked(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(BadValue, match=f"must not be deeper than {MAX_DEPTH}") as caught:
        checked(nested(MAX_DEPTH + 1))
    assert caught.value.path == "/0" * MAX_DEPTH
    with pytest.raises(BadValue, match="must not be deeper than 2"):
        checked({"a": {"b": {}}}, max_depth=2)


def test_a_value_deeper_than_the_stack_is_refused_like_any_other():
    with pytest.raises(BadValue, match="must not be deeper"):
        checked(nested(100_000))


def test_a_value_that_contains_itself_is_refused_as_such():
    loop = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(BadValue, match="a value must not contain itself"):
        checked(loop)
    wide = []
    wide.extend([wide] * 1000)
    with pytest.raises(BadValue, match="a value must not contain itself"):
        checked(wide)


def test_an_object_that_stands_in_two_places_is_no_circle():
    shared = {"a": 1}
    assert checked([shared, shared]) == [{"a": 1}, {"a": 1}]


def test_integers_of_64_bits_stay_exact():
    value = [2**64 - 1, -(2**63), 2**53 + 1]
    assert decode(encode(checked(value))) == value


def test_a_value_that_holds_the_same_part_again_and_again_is_refused_before_it_grows(monkeypatch):
    monkeypatch.setattr("apflow.values.MAX_PARTS", 10_000)
    value = []
    for _ in range(40):
        value = [value, value]
    with pytest.raises(BadValue, match="more than 10,000 parts"):
        checked(value)
