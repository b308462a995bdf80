"""Every hook is documented, with its exact signature and an example that is valid."""

from __future__ import annotations

import ast
import importlib.util
import inspect

import pytest

from apflow_hookspecs import specs

from .conftest import HOUSE, PAGES

HOOKS = {name: hook for name, hook in vars(specs).items() if hasattr(hook, "apflow_spec")}
REFERENCE = PAGES / "reference" / "hooks.md"

each_hook = pytest.mark.parametrize("name", HOOKS)


def signature(name: str) -> str:
    """As `inspect` sees it, which is not how the page was made; annotations are text in that module."""
    return f"{name}{inspect.signature(HOOKS[name])}".replace("'", "")


def section(name: str) -> str:
    return REFERENCE.read_text().partition(f"### {name}\n")[2].partition("\n### ")[0]


def test_the_hooks_are_found():
    assert {"apflow_executors", "apflow_validate_task", "apflow_event"} <= set(HOOKS)


@each_hook
def test_a_hook_is_documented_with_its_exact_signature(name):
    assert f"```python\n{signature(name)}\n```" in section(name)


@each_hook
def test_a_hook_says_when_it_is_called(name):
    assert "When: " in section(name)


@each_hook
def test_a_hook_has_an_example_that_implements_it(name):
    *_, example = section(name).split("```python\n")
    functions = {
        node.name: node for node in ast.walk(ast.parse(example.partition("```")[0])) if hasattr(node, "decorator_list")
    }
    assert [ast.unparse(decorator) for decorator in functions[name].decorator_list] == ["hookimpl"]
    offered = set(inspect.signature(HOOKS[name]).parameters)
    assert {argument.arg for argument in functions[name].args.args} <= offered


def test_the_pages_derived_from_code_are_current():
    program = importlib.util.spec_from_file_location("generate", HOUSE / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(program)
    program.loader.exec_module(generate)
    assert not [str(path) for path in generate.stale()], "python docs/generate.py"


def test_the_reference_holds_nothing_else():
    assert {line.removeprefix("### ") for line in REFERENCE.read_text().splitlines() if line.startswith("### ")} == set(HOOKS)


def test_every_name_of_the_contract_is_in_its_reference():
    import apflow_hookspecs

    page = (PAGES / "reference" / "contract.md").read_text()
    constants = {"EMPTY", "MAX_INSTANT", "PROJECT", "SCOPES", "SETTLED", "Json", "CallNext", "EventType", "OnCrash"}
    elsewhere = {"hookimpl", "hookspec", "specs"}
    named = set(apflow_hookspecs.__all__) - constants - elsewhere
    assert not {name for name in named if f"::: apflow_hookspecs.{name}\n" not in page} - {"ApflowError"}
