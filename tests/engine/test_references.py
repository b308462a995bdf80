import pytest
from hypothesis import given
from hypothesis import strategies as st

from apflow.references import find, point, resolve

RESULTS = {"fetch": {"body": {"title": "Tea", "tags": ["a", "b"]}}, "other": [1, 2]}


def look_up(key, path):
    return point(RESULTS[key], path)


def test_references_are_found_at_any_depth_with_their_place():
    inputs = {"a": {"$from": "fetch"}, "b": [0, {"c": {"$from": "other", "path": "/1"}}]}
    assert {(r.field, r.key, r.path, r.rule) for r in find(inputs)} == {
        ("inputs.a", "fetch", "", None),
        ("inputs.b.1.c", "other", "/1", None),
    }


def test_a_literal_holds_no_references():
    assert list(find({"a": {"$literal": {"$from": "fetch"}}, "b": [{"$literal": [{"$from": 5}]}]})) == []


def test_an_object_that_only_holds_literal_among_others_is_an_object():
    inputs = {"a": {"$literal": 1, "b": {"$from": "other"}}}
    assert [r.field for r in find(inputs)] == ["inputs.a.b"]
    assert resolve(inputs, look_up) == {"a": {"$literal": 1, "b": [1, 2]}}


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ({"$from": "fetch", "default": 1}, "and nothing else"),
        ({"$from": 5}, '"$from" must name a task'),
        ({"$from": None}, '"$from" must name a task'),
        ({"$from": "fetch", "path": 3}, '"path" must be empty or a JSON Pointer'),
        ({"$from": "fetch", "path": "body/title"}, '"path" must be empty or a JSON Pointer'),
    ],
)
def test_a_reference_that_is_written_wrongly_is_found_with_the_rule(written, rule):
    (found,) = find({"a": [written]})
    assert found.field == "inputs.a.0"
    assert rule in found.rule


def test_inputs_that_are_a_reference_as_a_whole_are_found_with_the_rule():
    for inputs in ({"$from": "fetch"}, {"$literal": {"a": 1}}):
        (found,) = find(inputs)
        assert found.field == "inputs"
        assert "inputs are given by name" in found.rule


def test_references_are_replaced_by_what_they_refer_to_and_nothing_else_changes():
    inputs = {"title": {"$from": "fetch", "path": "/body/title"}, "list": [{"$from": "other"}, {"x": None}], "plain": "y"}
    before = repr(inputs)
    assert resolve(inputs, look_up) == {"title": "Tea", "list": [[1, 2], {"x": None}], "plain": "y"}
    assert repr(inputs) == before


def test_a_value_that_was_put_in_is_never_looked_through():
    def look_up(key, path):
        return {"$from": "secret"}

    assert resolve({"a": {"$from": "x"}, "b": {"$literal": {"$from": "y"}}}, look_up) == {
        "a": {"$from": "secret"},
        "b": {"$from": "y"},
    }


def test_what_is_resolved_shares_no_container_with_what_was_written():
    inputs = {"a": {"b": [1]}}
    resolved = resolve(inputs, look_up)
    resolved["a"]["b"].append(2)
    assert inputs == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        # RFC 6901, section 5
        ("", {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "~1": 9}),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/m~0n", 8),
        ("/~01", 9),
    ],
)
def test_a_pointer_leads_to_its_part(path, part):
    assert point({"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "~1": 9}, path) == part


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/body/nope", "/body has no 'nope'"),
        ("/nope", "the result has no 'nope'"),
        ("/body/tags/2", "/body/tags has no '2'"),
        ("/body/tags/-1", "/body/tags has no '-1'"),
        ("/body/tags/-", "/body/tags has no '-'"),
        ("/body/tags/01", "/body/tags has no '01'"),
        ("/body/tags/²", "/body/tags has no '²'"),
        ("/body/title/0", "/body/title has no '0'"),
        ("/body/tags/" + "9" * 5000, "/body/tags has no"),
    ],
)
def test_a_pointer_to_nothing_names_the_step_that_led_nowhere(path, message):
    with pytest.raises(LookupError) as caught:
        point(RESULTS["fetch"], path)
    assert caught.value.args[0].startswith(message)


NAMES = st.text(max_size=5)
VALUES = st.recursive(st.none() | st.integers(), lambda v: st.lists(v) | st.dictionaries(NAMES, v), max_leaves=15)


@given(VALUES, st.data())
def test_every_part_of_a_value_has_a_pointer(value, data):
    path, part = "", value
    while isinstance(part, list | dict) and part and data.draw(st.booleans()):
        step = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        path += "/" + str(step).replace("~", "~0").replace("/", "~1")
        part = part[step]
    assert point(value, path) == part
