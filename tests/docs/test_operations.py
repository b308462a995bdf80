"""Every operation is documented, with all that it takes and refuses."""

from __future__ import annotations

import json
import re

import attrs
import pytest

from apflow.operations import CATALOGUE

from .conftest import PAGES

PAGE = (PAGES / "reference" / "operations.md").read_text()

each_operation = pytest.mark.parametrize("name", CATALOGUE)


def section(name: str) -> str:
    return PAGE.partition(f"## {name}\n")[2].partition("\n## ")[0]


def rows(name: str) -> dict[str, list[str]]:
    """The cells of the table of a section, by the parameter's name."""
    cells = [line.strip("| ").split(" | ") for line in section(name).splitlines() if line.startswith("| `")]
    return {first.strip("`"): others for first, *others in cells}


def test_the_page_holds_the_operations_and_nothing_else():
    assert re.findall("^## (.+)$", PAGE, re.MULTILINE) == list(CATALOGUE)


@each_operation
def test_an_operation_is_documented_with_its_summary_scope_and_errors(name):
    operation = CATALOGUE[name]
    assert operation.summary in section(name)
    assert f"Scope: `{operation.scope}`." in section(name)
    assert re.findall(r"\[`(\w+)`\]\([^)]+\) \((-\d+)\)", section(name)) == [
        (e.__name__, str(e.code)) for e in operation.errors
    ]


@each_operation
def test_an_operation_is_documented_with_its_parameters_in_order(name):
    assert list(rows(name)) == [field.name for field in attrs.fields(CATALOGUE[name].params)]


@each_operation
def test_a_parameter_is_documented_with_its_default_and_its_rule(name):
    told = rows(name)
    for field in attrs.fields(CATALOGUE[name].params):
        _, default, rule = told[field.name]
        assert default == ("required" if field.default is attrs.NOTHING else f"`{json.dumps(field.default)}`")
        assert rule.endswith(".")


def test_the_bounds_of_a_parameter_are_told():
    assert rows("tasks.events")["after"] == ["integer", "`0`", "Only events with a higher number. At least 0."]
    assert rows("tasks.running.status")["task_ids"][0] == "array of text"
