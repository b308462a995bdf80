"""`apflow plugins`, `executors`, `db` and `config`, and how the program deals with plugins and errors."""

from __future__ import annotations

import json
import subprocess

import pytest

TWICE = """
from apflow_hookspecs import executor, hookimpl

@executor("echo")
async def echo() -> None: ...

@hookimpl
def apflow_executors():
    yield echo
"""


def state(program, name, *arguments):
    plugins = program("plugins", "list", "--json", *arguments).json["plugins"]
    return next(plugin for plugin in plugins if plugin["name"] == name)


def test_plugins_are_listed_with_version_and_distribution(apflow):
    rows = [line.split() for line in apflow("plugins", "list").out.splitlines()]
    assert rows[0] == ["NAME", "STATE", "VERSION", "DISTRIBUTION", "WHY"]
    assert ["probe", "on", "1.0", "apflow-probe"] in rows


@pytest.mark.parametrize("name", ["probe", "apflow-probe", "Apflow_Probe"])
def test_a_plugin_is_shown_by_its_name_or_its_distributions(apflow, name):
    shown = dict(line.split(maxsplit=1) for line in apflow("plugins", "show", name).out.splitlines())
    assert (shown["name"], shown["state"], shown["hooks"]) == ("probe", "on", "apflow_commands, apflow_executors")
    assert apflow("plugins", "show", name, "--json").json["distribution"] == "apflow-probe"


def test_an_unknown_plugin_is_a_wrong_argument(apflow):
    done = apflow("plugins", "show", "nobodys")
    assert done.code == 2
    assert "There is no plugin 'nobodys'" in done.err


def test_a_blocked_plugin_is_shown_as_blocked_and_its_executors_are_gone(apflow):
    assert state(apflow, "probe", "--block", "probe")["state"] == "blocked"
    executors = apflow("--block", "probe", "executors", "list", "--json").json["executors"]
    assert "echo" not in {executor["id"] for executor in executors}


def test_an_option_adds_to_what_the_environment_blocks(apflow):
    plugins = apflow("plugins", "list", "--block", "probe", "--json", APFLOW_BLOCK="stdio").json["plugins"]
    assert {plugin["name"] for plugin in plugins if plugin["state"] == "blocked"} == {"probe", "stdio"}


def test_a_broken_plugin_is_off_with_the_reason_and_the_rest_works(apflow_with):
    program = apflow_with("broken", broken="raise OSError('no\\n\\x1b[2Jlibrary')")
    broken = state(program, "broken")
    assert broken["state"] == "off"
    assert "OSError" in broken["reason"]
    listed = program("plugins", "list")
    assert "\x1b" not in listed.out + listed.err
    assert "OSError" in listed.out
    done = program("run", program.file([{"executor": "echo"}]))
    assert done.code == 0
    assert "broken" in done.err


def test_without_plugins_they_are_listed_and_none_is_imported(apflow_with):
    program = apflow_with("loud", loud="print('imported')")
    done = program("plugins", "list", "--no-plugins")
    assert "imported" not in done.out
    assert state(program, "loud", "--no-plugins")["state"] == "not loaded"
    assert "imported" not in program("--no-plugins", "executors", "list").out


def test_two_plugins_of_one_executor_are_refused_by_both_names_and_can_still_be_listed(apflow_with):
    program = apflow_with("twice", twice=TWICE)
    done = program("run", program.file([{"executor": "echo"}]))
    assert done.code == 2
    assert "probe" in done.err
    assert "twice" in done.err
    assert "Traceback" not in done.err
    assert "twice" in state(program, "probe")["reason"]
    assert program("run", "tasks.json", "--block", "twice").code == 0


def test_executors_are_listed_with_their_plugin_and_summary(apflow):
    rows = [" ".join(line.split()) for line in apflow("executors", "list").out.splitlines()]
    assert rows[0] == "ID PLUGIN SUMMARY"
    assert any(row.startswith("echo probe") and row.endswith("Give back what it gets") for row in rows)


def test_the_example_of_an_executor_runs_as_it_is(apflow):
    shown = apflow("executors", "show", "echo")
    assert shown.code == 0
    assert '"count"' in shown.out
    example = shown.out.partition("example, for `apflow run`\n")[2]
    assert apflow("run", "-", "--json", stdin=example).json["status"] == "completed"


def test_an_unknown_executor_suggests_the_near_one(apflow):
    done = apflow("executors", "show", "ecko")
    assert done.code == 2
    assert done.err.endswith("did you mean 'echo'?\n")


def test_showing_what_is_installed_needs_no_storage(apflow):
    assert apflow("executors", "list").code == 0
    assert apflow("plugins", "list").code == 0
    assert not (apflow.folder / "flow.db").exists()


def test_the_storage_tells_about_itself(apflow):
    apflow("tasks", "create", apflow.file([{"executor": "echo"}]))
    info = apflow("db", "info", "--json").json
    assert "flow.db" in json.dumps(info)
    assert "flow.db" in apflow("db", "info").out
    assert apflow("db", "check").out == "ok\n"
    assert apflow("db", "check", "--json").json == {"ok": True, "problems": []}


def test_the_configuration_tells_where_each_value_came_from_and_masks_secrets(apflow):
    (apflow.folder / "apflow.toml").write_text('max_concurrency = 7\n[probe]\napi_token = "hush"\n')
    done = apflow("config", "show", "--json", "--db", "sqlite:///x.db", APFLOW_TIMEOUT="60")
    lines = {line["key"]: (line["value"], line["source"]) for line in done.json["config"]}
    assert lines["max_concurrency"] == (7, "apflow.toml")
    assert lines["timeout"] == (60, "APFLOW_TIMEOUT")
    assert lines["db"][1] == "option"
    assert lines["durability"] == ("full", "default")
    assert "hush" not in done.out
    shown = apflow("config", "show").out
    assert "hush" not in shown
    assert any(line.split() == ["max_concurrency", "7", "apflow.toml"] for line in shown.splitlines())


def test_another_configuration_can_be_named(apflow):
    (apflow.folder / "other.toml").write_text("max_concurrency = 3\n")
    lines = apflow("--config", "other.toml", "config", "show", "--json").json["config"]
    assert {"key": "max_concurrency", "value": 3, "source": "other.toml"} in lines


def test_a_bad_configuration_is_told_in_lines(apflow):
    (apflow.folder / "apflow.toml").write_text('max_concurrency = "many"\nmax_concurency = 1\n')
    done = apflow("config", "show")
    assert done.code == 2
    assert len(done.err.splitlines()) == 2
    assert "max_concurrency" in done.err


def test_a_plugins_command_is_listed_and_gets_the_engine(apflow):
    assert "probe      Say what the engine has." in apflow("--help").out
    assert apflow("probe").out == "True\n"
    assert apflow("--block", "probe", "probe").code == 2


def test_a_plugins_command_that_cannot_be_imported_is_one_line(apflow_with):
    source = (
        "from apflow_hookspecs import Command, hookimpl\n@hookimpl\ndef apflow_commands():\n"
        "    yield Command('lost', 'Lost.', 'nowhere_at_all:lost')\n"
    )
    done = apflow_with("lost", lost=source)("lost")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert "the command 'lost' cannot be loaded from 'nowhere_at_all:lost': ModuleNotFoundError" in line


def test_a_plugins_command_of_a_name_that_is_taken_is_told_of(apflow_with):
    source = (
        "from apflow_hookspecs import Command, hookimpl\n@hookimpl\ndef apflow_commands():\n"
        "    yield Command('run', 'Run.', 'nowhere_at_all:run')\n"
    )
    program = apflow_with("runner", runner=source)
    told = "plugin runner (apflow-runner 1.0): its command 'run' cannot be reached, as the program has one of that name"
    done = program("--help")
    assert (done.code, done.err) == (0, f"warning: {told}; give it another\n")
    assert done.out.splitlines()[-1] != "Run."
    assert told in program("doctor").out
    assert program("run", "--help").err == ""


def test_a_plugin_that_cannot_end_is_told_of_once(apflow_with):
    source = "from apflow_hookspecs import hookimpl\n@hookimpl\ndef apflow_shutdown(engine):\n    raise OSError('no\\ndisk')\n"
    done = apflow_with("nasty", nasty=source)("tasks", "list")
    assert (done.code, done.err) == (0, "error: plugin 'nasty' failed in apflow_shutdown: OSError: no\\ndisk\n")


def test_an_unexpected_error_is_one_line_and_a_traceback_with_debug(apflow_with):
    source = (
        "import click\nfrom apflow_hookspecs import Command, hookimpl\n@click.command()\ndef boom():\n    1 / 0\n"
        "@hookimpl\ndef apflow_commands():\n    yield Command('boom', 'Fail.', 'boom:boom')\n"
    )
    program = apflow_with("boom", boom=source)
    done = program("boom")
    assert (done.code, done.err) == (70, "error: unexpected ZeroDivisionError: division by zero (--debug shows where)\n")
    debugged = program("--debug", "boom")
    assert debugged.code == 70
    assert "Traceback" in debugged.err


def test_completion_is_clicks_own(apflow):
    script = apflow(_APFLOW_COMPLETE="bash_source")
    assert script.code == 0
    assert "_APFLOW_COMPLETE=bash_complete" in script.out
    completed = apflow(_APFLOW_COMPLETE="bash_complete", COMP_WORDS="apflow tasks ca", COMP_CWORD="2")
    assert completed.out.split() == ["plain,cancel"]


def test_the_version_is_told(apflow):
    assert apflow("--version").out.startswith("apflow 1.")


def test_output_that_is_read_only_in_part_is_no_error(apflow):
    with apflow.start("config", "show", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_text_that_the_terminal_cannot_show_is_escaped(apflow):
    name = apflow.file([{"id": "a", "name": "日本", "executor": "echo"}])
    done = apflow("run", name, PYTHONIOENCODING="latin-1")
    assert done.code == 0, done.err
    assert r"\u65e5\u672c started" in done.out
    again = apflow("run", name, "--json", PYTHONIOENCODING="latin-1")
    assert again.json["tasks"][0]["name"] == "日本"


def test_a_plugins_command_takes_the_shared_options_before_and_after_its_name(apflow_with):
    source = (
        "import click\nfrom apflow_hookspecs import Command, hookimpl\n\n\n"
        "@click.command()\n@click.option('--debug')\n@click.pass_obj\n"
        "def hello(session, debug):\n    click.echo(f'{session.db} {session.settings.db[-4:]} {session.json} {debug}')\n\n\n"
        "@click.group()\ndef greetings():\n    pass\n\n\ngreetings.add_command(hello)\n\n\n"
        "@hookimpl\ndef apflow_commands():\n    yield Command('hello', 'Say hello.', 'greeter:hello')\n"
        "    yield Command('greetings', 'Say more.', 'greeter:greetings')\n"
    )
    program = apflow_with("greeter", greeter=source)
    assert program("--db", "a.db", "hello", "--json").out == "a.db a.db True None\n"
    assert program("hello", "--db", "b.db", "--debug", "mine").out == "b.db b.db False mine\n"
    assert program("greetings", "--db", "b.db", "hello", "--json").out == "b.db b.db True None\n"
    assert program("greetings", "hello", "--db", "c.db").out == "c.db c.db False None\n"
