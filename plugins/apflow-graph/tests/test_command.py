"""`apflow graph`, as another process."""

from __future__ import annotations

import json
import os
import pty
from xml.etree import ElementTree as ET

import pytest

TREE = [
    {"id": "all"},
    {"id": "a", "parent_id": "all", "executor": "download", "inputs": {"table": "x"}},
    {"id": "b", "parent_id": "all", "executor": "check", "inputs": {"rows": {"$from": "a", "path": "/rows"}}},
]
OUTLINE = """\
   · all
1  ├── · a
2  └── · b  ← a /rows

   · pending  ← waits for
"""
RAN = (
    OUTLINE.replace("· all", "✗ all").replace("· a", "✓ a").replace("· b", "✗ b").replace("· pending", "✓ completed  ✗ failed")
)


def test_a_file_is_drawn_and_nothing_is_stored(apflow, draw):
    done = draw(apflow.file(TREE))
    assert (done.code, done.out) == (0, OUTLINE)
    assert "there is neither" in draw("all").err


def test_tasks_are_read_from_standard_input(draw):
    assert draw("-", stdin=json.dumps({"tasks": TREE})).out == OUTLINE


def test_a_stored_tree_is_drawn_as_it_stands(apflow, draw):
    assert draw("all", TREE_TO_RUN=apflow.file(TREE)).out == RAN


def test_a_part_is_drawn_with_what_it_waits_for(apflow, draw):
    drawn = draw("b", TREE_TO_RUN=apflow.file(TREE)).out
    assert drawn.splitlines()[:2] == ["1  ✓ a", "2  ✗ b  ← a /rows"]


def test_machines_get_nodes_and_edges(apflow, draw):
    document = draw(apflow.file(TREE), "--json").json
    assert [(node["key"], node["executor"], node["wave"]) for node in document["nodes"]] == [
        ("all", None, 2), ("a", "download", 1), ("b", "check", 2),
    ]  # fmt: skip
    ids = {node["key"]: node["id"] for node in document["nodes"]}
    assert document["edges"] == [{"source": ids["a"], "target": ids["b"], "required": True, "paths": ["/rows"]}]


def test_what_machines_get_is_safe_to_look_at(draw):
    done = draw("-", "--json", stdin=json.dumps([{"id": "a", "name": "\x1b\x7f\u202e", "executor": "report"}]))
    assert done.out.isascii()
    assert "\x1b" not in done.out
    assert "\x7f" not in done.out
    assert done.json["nodes"][0]["name"] == "\x1b\x7f\u202e"


def test_any_form_can_be_written_to_a_file(apflow, draw):
    file = apflow.file(TREE)
    assert draw(file, "-o", "drawn.txt").out == ""
    assert (apflow.folder / "drawn.txt").read_text(encoding="utf-8") == OUTLINE
    draw(file, "--svg", "--output", "drawn.svg")
    assert ET.parse(apflow.folder / "drawn.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own document
    draw(file, "--mermaid", "-o", "drawn.mmd")
    assert (apflow.folder / "drawn.mmd").read_text(encoding="utf-8") == draw(file, "--mermaid").out


def test_a_file_that_cannot_be_written_is_told(apflow, draw):
    done = draw(apflow.file(TREE), "-o", "no/such/folder.txt")
    assert done.code != 0
    assert "no/such/folder.txt" in done.err
    assert "Traceback" not in done.err


def test_all_problems_of_a_file_are_told_and_nothing_is_drawn(apflow, draw):
    wrong = [{"id": "a", "executor": "nowhere", "dependencies": ["x\x1b"]}, {"id": "b", "executor": "report", "priority": 99}]
    done = draw(apflow.file(wrong), "--svg", "-o", "drawn.svg")
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.code, done.out, (apflow.folder / "drawn.svg").exists()) == (2, "", False)
    assert any("task 'a'" in line for line in errors)
    assert any("priority = 99" in line for line in errors)
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[", "standard input: not JSON: "),
        (b"\xff\xfe", "standard input: not JSON: "),
        (b"7", "standard input: must hold an array of tasks, and holds 7"),
        (b"[" * 100_000, "standard input: not JSON: "),
    ],
    ids=["cut off", "not UTF-8", "a number", "too deep"],
)
def test_what_is_not_a_file_of_tasks_is_refused(draw, content, told):
    done = draw("-", stdin=content)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_folder_is_not_a_file(draw):
    done = draw("..")
    assert done.code == 2
    assert "..: cannot be read: Is a directory" in done.err


@pytest.mark.parametrize(
    "source", ["nothing.json", "no such thing", "x" * 5000], ids=["a file", "a sentence", "too long for a file"]
)
def test_neither_file_nor_task_is_told(draw, source):
    done = draw(source)
    assert (done.code, done.out) == (2, "")
    assert "there is neither a file nor a task of that name" in done.err


@pytest.mark.parametrize("form", ["svg", "mermaid"])
def test_two_forms_at_once_are_refused(apflow, draw, form):
    done = draw(apflow.file(TREE), f"--{form}", "--json")
    assert done.code == 2
    assert f"--json and --{form} are two forms; leave one of them out" in done.err


def test_a_tree_too_large_for_a_drawing_is_refused_with_what_to_do(apflow, draw):
    tasks = [{"id": "all"}, *({"id": f"t{n}", "parent_id": "all", "executor": "report"} for n in range(2000))]
    done = draw(apflow.file(tasks), "--svg")
    assert (done.code, done.out) == (2, "")
    assert "--svg draws at most 2,000 tasks, and here are 2,001; draw a part of it by the id of a task" in done.err


def on_a_terminal(apflow, *arguments, **environment):
    """What a terminal is sent."""
    screen, theirs = pty.openpty()
    settings = {**apflow.environment, "TERM": "xterm", "APFLOW_DB": "memory:", **environment}
    process = apflow.start("graph", *arguments, environment=settings, stdin=theirs, stdout=theirs)
    os.close(theirs)
    sent = b""
    try:
        while data := os.read(screen, 65536):
            sent += data
    except OSError:  # how Linux says that nobody has the other end open any more
        pass
    os.close(screen)
    assert process.wait(timeout=60) == 0
    return sent.decode().replace("\r\n", "\n")


def test_a_terminal_shows_colours_unless_nobody_wants_them(apflow):
    file = apflow.file(TREE)
    coloured = on_a_terminal(apflow, "all", TREE_TO_RUN=file)
    assert "├── \x1b[32m✓ a\x1b[0m" in coloured
    assert "\x1b[31m\x1b[1m✗ b\x1b[0m" in coloured
    assert on_a_terminal(apflow, "all", TREE_TO_RUN=file, NO_COLOR="1") == RAN
