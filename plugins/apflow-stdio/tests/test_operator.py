"""What the operator allows to trees that came from outside, and to anybody by name."""

from __future__ import annotations

import tomllib

import pytest

from apflow_hookspecs import TaskFailed, TaskTree
from apflow_hookspecs.errors import PermissionDenied
from apflow_stdio import CommandExecutor, apflow_validate_task
from apflow_stdio.options import MIB, Command, Options, Parameter

SECTION = """
timeout = 5

[commands.archive]
argv = ["printf", "[%s]", "--level={level}", "{folder}", "{{literal}}"]
remote = true
timeout = 10

[commands.archive.parameters.folder]
pattern = "[A-Za-z0-9._/-]+"

[commands.archive.parameters.level]
type = "int"
min = 1
max = 9
default = 6

[commands.count]
argv = ["wc", "-c"]
remote = true
input = true

[commands.environment]
argv = ["/usr/bin/env"]
remote = true
env = { MODE = "operator" }
cwd = "/"

[commands.restart]
argv = ["echo", "restarted"]
"""


@pytest.fixture(scope="module")
def structure():
    cattrs = pytest.importorskip("cattrs")
    return cattrs.Converter(forbid_extra_keys=True).structure


@pytest.fixture
def options(structure) -> Options:
    return structure(tomllib.loads(SECTION), Options)


@pytest.fixture
def remote(execute, options):
    return lambda **inputs: execute(options, "remote", **inputs)


@pytest.fixture
def refused(execute, make_task, options):
    """Have inputs refused at creation and when they run: the problem, and the failure."""

    async def refuse(origin, inputs):
        [problem] = problems(make_task, options, origin, **inputs)
        with pytest.raises(TaskFailed) as failure:
            await execute(options, origin, **inputs)
        return problem, failure.value

    return refuse


def problems(make_task, options, origin, **inputs):
    task = make_task(inputs=inputs)
    return list(
        apflow_validate_task(
            task=task, executor=CommandExecutor(options), tree=TaskTree(id="t", tasks={"t": task}, origin=origin)
        )
    )


def archive(**arguments):
    return {"name": "archive", "arguments": arguments}


async def test_a_tree_from_outside_runs_a_command_of_the_operators(remote):
    result = await remote(command=archive(folder="photos/2024"))
    assert result["stdout"] == "[--level=6][photos/2024][{literal}]"


async def test_a_local_tree_may_name_any_command_of_the_operators(execute, options):
    assert (await execute(options, command={"name": "restart"}))["stdout"] == "restarted"


async def test_a_named_command_runs_where_and_as_the_operator_says(remote):
    lines = (await remote(command={"name": "environment"}))["stdout"].splitlines()
    assert "MODE=operator" in lines


async def test_a_named_command_takes_input_where_the_operator_says_so(remote):
    assert (await remote(command={"name": "count"}, input="12345"))["stdout"] == "5"


@pytest.mark.parametrize(
    "command",
    [
        "id",
        ["id"],
        "archive",
        ["archive"],
        {"argv": ["id"]},
        {"name": "restart"},
        {"name": "no-such"},
        {"name": ["id"]},
        {"name": None},
        {"name": {"$from": "other"}},
        {"$from": "other"},
        {"$literal": ["id"]},
        {"$literal": {"name": "archive"}},
        5,
        None,
    ],
)
async def test_anything_else_from_outside_is_denied_at_creation_and_when_it_runs(make_task, options, remote, command):
    [problem] = problems(make_task, options, "remote", command=command)
    assert (problem.code, problem.severity) == (PermissionDenied.code, "error")
    with pytest.raises(TaskFailed) as failure:
        await remote(command=command)
    assert failure.value.error == "denied"


async def test_from_outside_everything_is_denied_by_default(execute, make_task):
    command = archive(folder="photos")
    assert problems(make_task, Options(), "remote", command=command)
    with pytest.raises(TaskFailed, match="there is none"):
        await execute(None, "remote", command=command)


async def test_an_origin_that_is_not_known_is_taken_for_outside(execute, options):
    with pytest.raises(TaskFailed, match="for callers from outside"):
        await execute(options, "elsewhere", command="id")


def test_who_comes_from_outside_is_told_of_no_command_that_is_not_theirs(make_task, options):
    [problem] = problems(make_task, options, "remote", command={"name": "restart"})
    assert problem.rule.endswith("archive, count, environment")
    assert problem.rule == problems(make_task, options, "remote", command={"name": "no-such"})[0].rule


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"cwd": "/tmp"}, "inputs.cwd"),  # noqa: S108 - nothing is written there
        ({"env": {"LD_PRELOAD": "/evil.so"}}, "inputs.env"),
        ({"input": "text"}, "inputs.input"),
        ({"timeout": 11}, "inputs.timeout"),
    ],
)
@pytest.mark.parametrize("origin", ["local", "remote"])
async def test_what_the_operator_fixed_cannot_be_changed(refused, inputs, field, origin):
    problem, failure = await refused(origin, {"command": archive(folder="photos"), **inputs})
    assert (problem.field, problem.code) == (field, PermissionDenied.code)
    assert (field in str(failure), failure.error) == (True, "denied")


@pytest.mark.parametrize(
    "folder",
    [
        "-rf",
        "--checkpoint-action=exec=id",
        "..",
        "../etc",
        "a/../../etc",
        "/..",
        "a b",
        "$(id)",
        "a;id",
        "a\nb",
        "a\n",
        "",
        "a\0b",
        "x" * 256,
        5,
        True,
        None,
        ["a"],
        {"a": 1},
    ],
)
@pytest.mark.parametrize("origin", ["local", "remote"])
async def test_a_text_that_breaks_its_parameters_rules_is_refused(refused, origin, folder):
    problem, failure = await refused(origin, {"command": archive(folder=folder)})
    assert problem.field == "inputs.command.arguments.folder"
    assert (problem.field in str(failure), failure.error) == (True, "bad_input")


@pytest.mark.parametrize("level", [0, 10, -1, "6", 6.0, True, 10**30])
async def test_a_number_that_breaks_its_parameters_rules_is_refused(remote, level):
    with pytest.raises(TaskFailed, match=r"inputs\.command\.arguments\.level = .*must be"):
        await remote(command=archive(folder="photos", level=level))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ({"name": "archive"}, "arguments.folder = None: is missing"),
        (archive(folder="a", extra="b"), "arguments.extra = 'b': is no parameter; there are: folder, level"),
        ({"name": "archive", "arguments": ["a"]}, "arguments = .*must be an object"),
        ({**archive(folder="a"), "argv": ["id"]}, "command.argv = .*is unknown"),
    ],
)
async def test_arguments_that_do_not_fit_are_named(remote, command, told):
    with pytest.raises(TaskFailed, match=told):
        await remote(command=command)


def test_an_argument_that_is_only_known_later_is_checked_later(make_task, options):
    assert not problems(make_task, options, "remote", command=archive(folder={"$from": "plan"}, level={"$from": "plan"}))


async def test_a_dash_and_a_parent_pass_where_the_operator_says_so(execute):
    free = Parameter(pattern=".*", allow_dash=True, allow_parent=True)
    options = Options(
        commands={"show": Command(("printf", "%s %s", "{a}", "{b}"), {"a": free, "b": Parameter(choices=("-x",))}, remote=True)}
    )
    command = {"name": "show", "arguments": {"a": "-n/../x", "b": "-x"}}
    assert (await execute(options, "remote", command=command))["stdout"] == "-n/../x -x"


async def test_a_value_is_never_taken_for_a_placeholder_or_more_than_one_argument(execute):
    text = Parameter(pattern=".*")
    options = Options(commands={"show": Command(("printf", "[%s]", "{a}", "{b}"), {"a": text, "b": text}, remote=True)})
    command = {"name": "show", "arguments": {"a": "{b} {a} {{", "b": "x y"}}
    assert (await execute(options, "remote", command=command))["stdout"] == "[{b} {a} {{][x y]"


@pytest.mark.parametrize(
    "command", [Command(("echo", "a\0b")), Command(("echo",), env={"A": "\0"}), Command(("echo",), cwd="/\0")]
)
async def test_nul_in_what_the_operator_wrote_starts_nothing(execute, command):
    with pytest.raises(ValueError, match="'echo' holds the character NUL"):
        await execute(Options(commands={"odd": command}), command={"name": "odd"})


async def test_a_named_command_has_limits_of_its_own(execute, python):
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])"
    escaped = [part.replace("{", "{{").replace("}", "}}") for part in python(program)]
    options = Options(commands={"limits": Command(tuple(escaped), remote=True, cpu_time=7)})
    assert (await execute(options, "remote", command={"name": "limits"}))["stdout"] == f"{2048 * MIB} 7"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ({"argv": []}, "needs at least a program"),
        ({"argv": ["bin/tool"]}, "absolute path or a bare name"),
        ({"argv": ["./tool"]}, "absolute path or a bare name"),
        ({"argv": ["{tool}"], "parameters": {"tool": {"choices": ["a"]}}}, "without parameters"),
        ({"argv": ["tool", "{a}"]}, "do not name the same: a"),
        ({"argv": ["tool"], "parameters": {"a": {"choices": ["x"]}}}, "do not name the same: a"),
        ({"argv": ["tool", "{}"]}, "may hold {name} only"),
        ({"argv": ["tool", "{a.b}"]}, "may hold {name} only"),
        ({"argv": ["tool", "{a!r}"]}, "may hold {name} only"),
        ({"argv": ["tool", "{a:>9}"]}, "may hold {name} only"),
        ({"argv": ["tool", "{a"]}, "expected '}'"),
        ({"argv": ["tool", "{a}"], "parameters": {"a": {}}}, "needs a pattern or choices"),
        ({"argv": ["tool", "{a}"], "parameters": {"a": {"pattern": "["}}}, "unterminated"),
        ({"argv": ["tool", "{a}"], "parameters": {"a": {"choices": ["x"], "default": "y"}}}, "must be one of x"),
        ({"argv": ["tool"], "shell": True}, "shell"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_when_the_configuration_is_read(structure, command, told):
    with pytest.raises(ExceptionGroup) as refusal:
        structure({"commands": {"tool": command}}, Options)
    assert told in _all_texts(refusal.value)


@pytest.mark.parametrize(
    "section", [{"timeout": 0}, {"grace": -1}, {"max_output": -1}, {"memory": 0}, {"cpu_time": 0}, {"processes": 0}]
)
def test_limits_that_make_no_sense_are_refused_when_the_configuration_is_read(structure, section):
    with pytest.raises(ExceptionGroup) as refusal:
        structure(section, Options)
    assert f"'{next(iter(section))}' must be" in _all_texts(refusal.value)


def _all_texts(error: BaseException) -> str:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n".join([str(error), *map(_all_texts, inner)])


def test_what_is_not_known_yet_is_shown_as_such_in_a_refusal(make_task):
    given = {"command": ["a", {"$from": "x"}, [{"deep": {"$secret": "y"}}]]}
    [problem] = problems(make_task, Options(), "remote", **given)
    assert str(problem).partition("inputs.")[2].startswith("command = ['a', '…', [{'deep': '…'}]]: ")
