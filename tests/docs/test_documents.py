"""The documents are held to the code: links lead somewhere, snippets run, lists are whole."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys

import attrs
import pytest
from attrs import evolve

import apflow
from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import Policy, Task, TaskContext, TaskStatus, Wait, executor
from apflow_hookspecs.errors import CircularDependency

from .conftest import DOCUMENTS, HOUSE, PAGES, snippets

LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)#: ]+)(#[^)]*)?\)")
TEST_COMMAND = "uvx --with tox-uv tox"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(HOUSE)))
def test_links_lead_somewhere(document):
    targets = [found["target"] for found in LINK.finditer(document.read_text())]
    assert not [target for target in targets if not (document.parent / target).exists()]


@pytest.mark.parametrize("snippet", [s for s in snippets("python") if not s.text.startswith("apflow_")], ids=str)
def test_python_compiles(snippet):
    compile(snippet.text, str(snippet), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


PROGRAMS = snippets("python", PAGES / "tutorial.md", PAGES / "reference" / "engine.md") + [
    snippet for snippet in snippets("python", HOUSE / "README.md") if "apflow.run" in snippet.text
]


@pytest.mark.parametrize("snippet", PROGRAMS, ids=str)
def test_a_program_runs_as_it_is_printed(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", snippet.text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def typed_in(page):
    """What the Python of a page defines, one block after the other."""
    typed: dict = {}
    for snippet in snippets("python", PAGES / page):
        exec(compile(snippet.text, str(snippet), "exec", dont_inherit=True), typed)  # noqa: S102 - ours
    return typed


async def test_the_guide_to_plugins_works_when_it_is_typed_in():
    typed = typed_in("plugins.md")
    await typed["test_it_counts_down"]()
    assert [executor.id for executor in typed["apflow_executors"]()] == ["hello_executor"]
    tasks = {
        "shout": {"executor": "shouting_executor", "inputs": {"name": "Ada"}},
        "mumble": {"executor": "shouting_executor", "inputs": {"nmae": "Ada"}},
        "size": {"executor": "page_size", "inputs": {"url": "http://127.0.0.1"}},
    }
    titles = {"titles": typed["Titles"]()}
    async with engine_of(typed["Shouting"](typed["hello"]), typed["hello"], plugins=titles) as engine:
        array = [{"id": "root"}, *({**task, "id": id, "parent_id": "root"} for id, task in tasks.items())]
        done = (await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(array))).tasks
    assert done["shout"].result == {"text": "HELLO ADA!"}
    assert done["mumble"].error["code"] == "bad_input"
    assert (done["size"].error["code"], "127.0.0.1" in done["size"].error["message"]) == ("denied", True)


def test_the_waits_of_the_guide_end_as_it_says():
    typed = typed_in("plugins.md")
    clock = VirtualClock()

    async def scenario():
        async with engine_of(typed["remind"], typed["approve"]) as engine:
            array = [{"executor": "remind", "inputs": {"text": "the cake", "seconds": 86_400}}]
            return await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(array))

    assert clock.run(scenario()).root.result == "the cake"
    assert clock.monotonic() >= 86_400


async def test_what_the_guide_says_of_call_next_is_so():
    calls = []

    @executor("counted")
    async def counted(context: TaskContext) -> int:
        calls.append(context.attempt)
        return len(calls)

    async def twice(call_next, context, options):
        return await call_next() + await call_next()

    async def never(call_next, context, options):
        return "from the policy"

    async def unawaited(call_next, context, options):
        call = call_next()
        call.close()
        return call

    policies = [Policy(around.__name__, around) for around in (twice, never, unawaited)]
    array = [
        {"id": "root"},
        *({"id": p.name, "parent_id": "root", "executor": "counted", "policies": {p.name: {}}} for p in policies),
    ]
    async with engine_of(counted, policies=policies) as engine:
        done = (await engine.manager.distribute_task_tree(await engine.creator.create_task_tree_from_array(array))).tasks
    assert calls == [1, 1]
    assert (done["twice"].result, done["twice"].attempt) == (3, 1)
    assert done["never"].result == "from the policy"
    assert done["unawaited"].error["code"] == "bad_result"


async def test_an_executor_of_the_guide_goes_on_with_its_answer():
    approve = typed_in("plugins.md")["approve"]
    task = Task(n=0, id="t", key="t", name="t", tree_id="t", executor="approve")
    asked = await approve("Sure?", TaskContext(task=task))
    assert asked == Wait.for_input("Sure?", schema={"type": "boolean"})
    task.wait = evolve(asked, answer=False)
    assert await approve("Sure?", TaskContext(task=task)) is False


def test_the_tests_of_the_guide_to_testing_pass_where_only_its_own_configuration_is(tmp_path):
    (configuration,) = snippets("toml", PAGES / "testing.md")
    (tmp_path / "pyproject.toml").write_text(configuration.text)
    tests = snippets("python", PAGES / "testing.md")
    for number, snippet in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(snippet.text)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", tmp_path]
    example = {"PYTHONPATH": str(HOUSE / "examples" / "apflow-hello"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **example}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout
    assert all(f"test_{number}.py" in done.stdout for number in range(len(tests)))


def test_everything_that_the_guide_to_testing_lists_is_there():
    page = (PAGES / "testing.md").read_text()
    listed = re.findall(r"^\| `(apflow[\w.]+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert listed
    assert not [pair for pair in listed if not hasattr(importlib.import_module(pair[0]), pair[1])]


def test_the_guide_shows_the_example_as_it_is():
    source = (HOUSE / "examples" / "apflow-hello" / "apflow_hello.py").read_text().partition('"""\n\n')[2]
    assert source in [snippet.text for snippet in snippets("python", PAGES / "plugins.md")]


@pytest.mark.parametrize("document", [HOUSE / "README.md", PAGES / "tutorial.md"], ids=lambda path: path.name)
def test_the_first_tree_of_a_document_completes(document):
    tree = apflow.run(json.loads(snippets("json", document)[0].text))
    assert tree.status == "completed"


def test_the_circle_of_the_tutorial_is_refused_in_full():
    tasks = json.loads(snippets("json", PAGES / "tutorial.md")[1].text)
    with pytest.raises(CircularDependency, match="a → b → a"):
        apflow.run(tasks)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Task)])
def test_every_field_of_a_task_is_explained(field):
    assert f"`{field}`" in (PAGES / "tasks.md").read_text() or field == "n"


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_is_explained(status):
    assert f"| `{status}` |" in (PAGES / "tasks.md").read_text()


def test_the_exit_codes_are_those_of_the_program():
    from apflow.cli.failures import ExitCode

    table = (PAGES / "cli.md").read_text().partition("## Exit codes")[2]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {int(code) for code in ExitCode}


def commands() -> list[tuple[str, ...]]:
    """What the first table of the page offers: `apflow tasks list`, `get` … as ("tasks", "list"), ("tasks", "get")."""
    rows = re.findall(r"^\| (`apflow .+?) \|", (PAGES / "cli.md").read_text(), re.MULTILINE)
    found = []
    for row in rows:
        first, *others = (re.sub(r"^apflow | [A-Z|-]+$", "", text).split() for text in re.findall("`([^`]+)`", row))
        found += [tuple(first), *((first[0], other[0]) for other in others)]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_that_is_documented_explains_itself(command):
    done = subprocess.run(
        [sys.executable, "-m", "apflow", *command, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{' '.join(command)}" in done.stdout.partition("\n")[0]


def test_ci_calls_the_test_command_of_the_readme():
    assert f"    {TEST_COMMAND}\n" in (HOUSE / "README.md").read_text()
    assert f" {TEST_COMMAND} " in (HOUSE / ".ci" / "run").read_text()


def test_every_note_for_the_next_release_has_a_kind_and_a_sentence():
    notes = [path for path in (HOUSE / "changelog.d").iterdir() if path.name != "README.md"]
    assert notes
    for note in notes:
        assert re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", note.name)
        assert note.read_text().rstrip().endswith(".")


@pytest.mark.parametrize("snippet", snippets("toml", PAGES / "configuration.md", PAGES / "storage.md"), ids=str)
def test_a_configuration_that_is_printed_is_accepted(snippet, tmp_path):
    (tmp_path / "apflow.toml").write_text(snippet.text)
    command = [sys.executable, "-m", "apflow", "config", "show", "--config", "apflow.toml", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "apflow.toml" in done.stdout
