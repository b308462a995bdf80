"""What a command is given, and what comes back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from apflow_hookspecs import Dependency, TaskFailed, TaskTree
from apflow_stdio import CommandExecutor, apflow_validate_task
from apflow_stdio.launch import launch
from apflow_stdio.options import Options


async def test_a_command_gives_return_code_and_output(execute, python):
    program = "import sys; print('out'); print('err', file=sys.stderr)"
    assert await execute(command=python(program)) == {"success": True, "return_code": 0, "stdout": "out", "stderr": "err"}


async def test_a_line_is_split_without_a_shell(execute):
    assert (await execute(command="printf '%s;' 'a b' c"))["stdout"] == "a b;c;"


async def test_a_list_is_given_as_it_is(execute):
    words = ["a b", "$HOME", "`id`", "; id", "*", "", "größe ☃ 🎈", "two\nlines"]
    assert (await execute(command=["printf", "[%s]", *words]))["stdout"] == "".join(f"[{word}]" for word in words)


async def test_numbers_in_a_list_are_written_out(execute):
    assert (await execute(command=["echo", 3, 1.5]))["stdout"] == "3 1.5"


async def test_a_return_code_other_than_0_fails_the_task_and_tells_the_output(execute, python):
    program = "import sys; print('so far'); print('first', file=sys.stderr); sys.exit('no such luck')"
    with pytest.raises(TaskFailed, match="ended with return code 1: no such luck") as failure:
        await execute(command=python(program))
    assert failure.value.error == "failed"
    assert failure.value.details == {"return_code": 1, "stdout": "so far", "stderr": "first\nno such luck"}


async def test_without_check_a_return_code_is_a_result(execute, python):
    result = await execute(command=python("raise SystemExit(3)"), check=False)
    assert result == {"success": False, "return_code": 3, "stdout": "", "stderr": ""}


async def test_a_command_that_a_signal_ended_is_told_by_its_name(execute, python):
    with pytest.raises(TaskFailed, match="was ended by SIGSEGV") as failure:
        await execute(command=python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert failure.value.details["return_code"] == -11


async def test_a_program_that_is_not_there_is_named(execute):
    with pytest.raises(TaskFailed, match=r"'no-such-program-here' cannot be started: No such file .*PATH is /"):
        await execute(command=["no-such-program-here"])


async def test_a_file_that_is_no_program_is_named(execute, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with pytest.raises(TaskFailed, match=r"notes.txt' cannot be started: Permission denied"):
        await execute(command=[str(file)])


async def test_a_folder_that_is_not_there_is_named(execute):
    with pytest.raises(TaskFailed, match="'pwd' cannot work in the folder '/no/such': No such file"):
        await execute(command=["pwd"], cwd="/no/such")


async def test_a_command_works_in_its_folder(execute, tmp_path):
    assert (await execute(command=["pwd"], cwd=str(tmp_path)))["stdout"] == str(tmp_path.resolve())
    assert (await execute(command=["pwd"]))["stdout"] == str(Path.cwd())


async def test_the_environment_is_clean(execute, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "canary")
    monkeypatch.setenv("PATH", f".::relative:{os.environ['PATH']}")
    monkeypatch.setenv("LANG", "C.UTF-8")
    lines = (await execute(command=["env"], env={"GREETING": "grüß dich", "EMPTY": ""}))["stdout"].splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert found.keys() <= {*Options().environment, "GREETING", "EMPTY"}
    assert found["GREETING"] == "grüß dich"
    assert found["LANG"] == "C.UTF-8"
    assert all(folder.startswith("/") for folder in found["PATH"].split(":"))


async def test_the_operator_names_the_variables_that_are_kept(execute, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    assert (await execute(Options(environment=("PATH", "HTTP_PROXY")), command="printenv HTTP_PROXY"))["stdout"]


async def test_a_variable_that_is_no_text_is_handed_on_as_it_is(execute, monkeypatch):
    monkeypatch.setitem(os.environb, b"TMPDIR", b"/tmp/\xff")
    assert (await execute(command="printenv TMPDIR"))["stdout"] == "/tmp/\N{REPLACEMENT CHARACTER}"  # noqa: S108 - a text


async def test_text_is_given_on_standard_input(execute):
    text = "größe\0\n" * 100_000
    assert (await execute(command=["wc", "-c"], input=text))["stdout"] == str(len(text.encode()))


async def test_without_input_standard_input_is_empty(execute):
    assert (await execute(command=["cat"]))["stdout"] == ""


async def test_a_program_that_does_not_read_its_input_ends_all_the_same(execute):
    assert (await execute(command=["true"], input="x" * 1_000_000))["success"]


async def test_bytes_that_are_no_text_are_replaced(execute, python):
    program = r"import sys; sys.stdout.buffer.write(b'a\xff\xc3b')"
    assert (await execute(command=python(program)))["stdout"] == "a��b"


async def test_nothing_but_the_three_streams_is_open_in_a_command(execute, python):
    program = "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))"
    assert (await execute(command=python(program)))["stdout"] == "[0, 1, 2]"


async def test_signals_are_as_a_shell_would_leave_them(execute):
    lines = (await execute(command=["cat", "/proc/self/status"]))["stdout"].splitlines()
    signals = dict(line.split(":\t") for line in lines if line.startswith(("SigIgn", "SigBlk", "SigCgt")))
    assert {int(mask, 16) for mask in signals.values()} == {0}


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "inputs.command.*is missing"),
        ({"command": []}, "inputs.command = .*must be a list of texts"),
        ({"command": 5}, "inputs.command = 5: must be a list of texts"),
        ({"command": ["echo", None]}, "place 1 is NoneType"),
        ({"command": ["echo", True]}, "place 1 is bool"),
        ({"command": [""]}, "must name a program"),
        ({"command": ["echo", "a\0b"]}, "NUL"),
        ({"command": "echo a\0b"}, "NUL"),
        ({"command": ["echo", "\ud800"]}, "UTF-8"),
        ({"command": "echo a; id"}, "must not hold ';'"),
        ({"command": "ls", "timeout": 0}, "inputs.timeout = 0: must be a number of seconds above 0"),
        ({"command": "ls", "timeout": float("nan")}, "inputs.timeout"),
        ({"command": "ls", "timeout": "30"}, "inputs.timeout = '30'"),
        ({"command": "ls", "timeout": True}, "inputs.timeout = True"),
        ({"command": "ls", "cwd": 5}, "inputs.cwd = 5: must be a text"),
        ({"command": "ls", "cwd": "/a\0b"}, "inputs.cwd = .*NUL"),
        ({"command": "ls", "env": []}, "inputs.env"),
        ({"command": "ls", "env": {"A": 1}}, "inputs.env"),
        ({"command": "ls", "env": {"A=B": "1"}}, "inputs.env.*'A=B'"),
        ({"command": "ls", "env": {"": "1"}}, "inputs.env"),
        ({"command": "ls", "input": 5}, "inputs.input = .*must be a text"),
        ({"command": "ls", "check": "no"}, "inputs.check = 'no': must be true or false"),
        ({"command": "ls", "max_output": -1}, "inputs.max_output"),
        ({"command": "ls", "max_output": 10**9}, "the operator's limit, 262144"),
        (
            {"command": {"name": "backup"}},
            "command.name = 'backup': must be a command that the operator offers here: there is none",
        ),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_by_field_value_and_rule(execute, make_task, inputs, told):
    with pytest.raises(TaskFailed, match=told) as failure:
        await execute(**inputs)
    assert failure.value.error == "bad_input"
    with pytest.raises(AssertionError, match=told):
        _assert_accepted(make_task(inputs=inputs))


@pytest.mark.parametrize("inputs", [{"env": {"TOKEN": "canary", "N": 1}}, {"input": ["canary"]}])
async def test_what_may_be_a_secret_is_not_shown_when_it_is_refused(execute, inputs):
    with pytest.raises(TaskFailed, match="must") as failure:
        await execute(command="ls", **inputs)
    assert "canary" not in str(failure.value)


def test_all_problems_of_a_task_are_told_together(make_task):
    found = list(CommandExecutor().problems(make_task(inputs={"command": "a|b", "timeout": -1, "check": 1}), "local"))
    assert [problem.field for problem in found] == ["inputs.command", "inputs.timeout", "inputs.check"]
    assert {problem.task for problem in found} == {"t"}


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": {"$from": "plan", "path": "/command"}},
        {"command": ["echo", {"$from": "plan"}], "cwd": {"$from": "plan"}, "timeout": {"$from": "plan"}},
        {"command": "deploy", "env": {"TOKEN": {"$secret": "token"}}, "input": {"$from": "plan"}},
        {"command": {"$literal": ["echo", "x"]}},
        {"command": "ls", "timeout": None, "cwd": None},
    ],
)
def test_what_is_only_known_later_passes_at_creation(make_task, inputs):
    _assert_accepted(make_task(inputs=inputs))


def test_a_command_may_arrive_from_a_dependency(make_task):
    _assert_accepted(make_task(dependencies=(Dependency("id", "command"),)))


async def test_results_of_dependencies_beside_the_inputs_are_no_inputs(execute):
    assert (await execute(command="echo fine", fetch={"status": 200}))["stdout"] == "fine"


def test_an_input_that_means_nothing_is_told_and_refuses_nothing(make_task):
    [problem] = CommandExecutor().problems(make_task(inputs={"command": "ls", "time_out": 3}), "local")
    assert (problem.severity, problem.field) == ("warning", "inputs.time_out")
    assert "did you mean timeout?" in problem.rule


async def test_an_attempt_without_a_context_is_taken_for_an_outsiders():
    with pytest.raises(TaskFailed, match="for callers from outside") as failure:
        await CommandExecutor().execute({"command": "id"})
    assert failure.value.error == "denied"


async def test_a_program_can_be_named_relative_to_its_folder(execute, tmp_path):
    script = tmp_path / "hello"
    script.write_text(f"#!{sys.executable}\nprint('hello')\n")
    script.chmod(0o700)
    assert (await execute(command="./hello", cwd=str(tmp_path)))["stdout"] == "hello"


def _assert_accepted(task):
    tree = TaskTree(id=task.id, tasks={task.key: task})
    problems = list(apflow_validate_task(task=task, executor=CommandExecutor(), tree=tree))
    assert not problems, "; ".join(map(str, problems))


@pytest.mark.parametrize(
    ("inputs", "of_the_task", "seconds"),
    [({}, None, 30), ({}, 60, 60), ({"timeout": 5}, 60, 5), ({"timeout": 90}, 60, 90)],
)
def test_a_command_may_take_as_long_as_it_says_or_as_its_task_says(inputs, of_the_task, seconds):
    assert launch({"command": "ls", **inputs}, Options(), of_the_task).timeout == seconds
