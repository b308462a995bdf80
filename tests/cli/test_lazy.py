import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from apflow.cli.lazy import LazyCommand
from apflow_hookspecs import Command


@pytest.fixture
def group(tmp_path, monkeypatch):
    (tmp_path / "lazy_target.py").write_text(
        "import click\n@click.command()\n@click.option('--who', default='you')\n"
        "def hello(who):\n    click.echo(f'hello {who}')\nnothing = 5\n"
    )
    (tmp_path / "lazy_broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    records = [
        Command("hello", "Say hello.", "lazy_target:hello"),
        Command("none", "No command.", "lazy_target:nothing"),
        Command("broken", "Raises.", "lazy_broken:hello"),
    ]
    yield click.Group("lazy", commands=[LazyCommand(record) for record in records])
    for name in ("lazy_target", "lazy_broken"):
        sys.modules.pop(name, None)


def test_listing_imports_nothing(group):
    shown = CliRunner().invoke(group, ["--help"]).output
    assert "hello   Say hello." in shown
    assert "lazy_target" not in sys.modules


def test_the_command_is_imported_when_it_is_used(group):
    assert CliRunner().invoke(group, ["hello", "--who", "me"]).output == "hello me\n"
    assert "--who" in CliRunner().invoke(group, ["hello", "--help"]).output


def test_completion_reaches_the_options_of_a_lazy_command(group):
    def completed(words, incomplete):
        complete = ShellComplete(group, {}, "lazy", "_LAZY_COMPLETE")
        return [item.value for item in complete.get_completions(words, incomplete)]

    assert completed([], "h") == ["hello"]
    assert "lazy_target" not in sys.modules
    assert completed(["hello"], "--w") == ["--who"]


@pytest.mark.parametrize(
    ("name", "why"), [("none", "no click command, but int"), ("broken", "ZeroDivisionError: division by zero")]
)
def test_a_command_that_cannot_be_loaded_is_refused_with_the_reason(group, name, why):
    error = CliRunner().invoke(group, [name]).exception
    assert f"the command {name!r} cannot be loaded" in str(error)
    assert why in str(error)
