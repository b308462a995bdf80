"""What a person sees: the program on a terminal, a real one."""

from __future__ import annotations

import os
import re
import signal

import pytest

from apflow.cli.text import columns

TREE = [
    {"id": "all"},
    {"id": "good", "parent_id": "all", "executor": "echo"},
    {"id": "bad", "parent_id": "all", "executor": "fail", "inputs": {"message": "no\x1b[2Jway [bold]"}},
]
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def without_rich(apflow):
    (apflow.folder / "rich.py").write_text("raise ModuleNotFoundError('No module named rich', name='rich')\n")
    return f"{apflow.folder}{os.pathsep}{apflow.plugins}"


def test_a_run_draws_its_tree_and_ends_with_the_summary(apflow, on_terminal):
    terminal = on_terminal("run", apflow.file(TREE))
    shown = terminal.rest()
    text = SEQUENCE.sub("", shown)
    assert terminal.process.returncode == 1
    assert "├── good  ✓" in text
    assert r"└── bad  ✗" in text
    assert r"failed: no\x1b[2Jway [bold]" in text
    assert "\x1b[2J" not in shown
    assert "3/3  1 failed" in text
    assert re.search(r"failed: 3 tasks, 1 completed, 2 failed in .* s \(tree", text)


def test_colour_is_for_terminals_and_not_where_it_is_unwanted(apflow, on_terminal):
    file = apflow.file(TREE)
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
    assert colour.search(on_terminal("run", file).rest())
    assert not colour.search(on_terminal("run", file, NO_COLOR="1").rest())
    assert colour.search(on_terminal("tasks", "get", "none").rest())
    assert not colour.search(on_terminal("tasks", "get", "none", NO_COLOR="1").rest())
    assert not colour.search(apflow("tasks", "get", "none").err)


def test_without_rich_a_terminal_gets_plain_lines(apflow, on_terminal, without_rich):
    shown = on_terminal("run", apflow.file(TREE), PYTHONPATH=without_rich).rest()
    assert re.search(r"^\d\d:\d\d:\d\d good completed\r$", shown, re.MULTILINE)


def test_a_dumb_terminal_gets_plain_lines(apflow, on_terminal):
    assert "good completed" in on_terminal("run", apflow.file(TREE), TERM="dumb").rest()


def test_json_on_a_terminal_is_json_alone(apflow, on_terminal):
    shown = on_terminal("run", apflow.file(TREE), "--json").rest()
    assert shown.startswith("{\r\n")
    assert "\x1b" not in shown


def test_control_c_leaves_the_screen_in_order(apflow, on_terminal):
    tasks = [{"id": "waits", "executor": "hang", "inputs": {"started": str(apflow.folder / "started")}}]
    terminal = on_terminal("run", apflow.file(tasks), APFLOW_DRAIN_TIMEOUT="0.2")
    terminal.until("waits")
    terminal.until("⠋")
    terminal.process.send_signal(signal.SIGINT)
    shown = terminal.rest()
    assert terminal.process.returncode == 130
    assert shown.endswith("interrupted\r\n")
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")  # the cursor is back


def test_a_line_is_never_wider_than_the_screen(apflow, on_terminal):
    tasks = [
        {"id": "all", "name": "日本" * 60},
        {"id": "a", "parent_id": "all", "executor": "fail", "inputs": {"message": "x" * 500}},
    ]
    shown = on_terminal("run", apflow.file(tasks)).rest()
    drawn = SEQUENCE.sub("", shown.partition("failed: 2 tasks")[0])
    assert max(columns(line) for line in re.split(r"[\r\n]+", drawn)) <= 80
