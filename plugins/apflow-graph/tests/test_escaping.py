"""What users wrote stands for itself, in every form."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from apflow_graph import mermaid, svg, text
from apflow_graph.escaping import columns, cut, plain
from apflow_graph.escaping import mermaid as in_mermaid
from apflow_graph.model import Edge, Graph, Node

EVIL = "</title><script>alert(1)</script>\"'&]]>\x1b[2J\u202e\x00\nend\ud800\ufffe"
SEEN = "</title><script>alert(1)</script>\"'&]]>\\x1b[2J\\u202e\\x00\\nend\\ud800\\ufffe"


@pytest.fixture
def evil():
    root = Node("root", "root", EVIL, "failed", error=EVIL)
    return Graph(
        (root, Node("a", EVIL, EVIL, "failed", EVIL, 0, EVIL), Node("b", "b", "b", "pending", EVIL, 0)),
        (Edge(1, 2, paths=(EVIL,)),),
    )


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"),
        ("\u2028\ufeff", "\\u2028\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\uffff\U0001fffe", "\\uffff\\U0001fffe"),
        ("日本 é 👩\u200d💻", "日本 é 👩\u200d💻"),
    ],
)
def test_what_cannot_be_seen_is_escaped_and_what_can_is_not(written, seen):
    assert plain(written) == seen


@pytest.mark.parametrize(
    ("written", "escaped"),
    [
        ('say "hi"', "say #34;hi#34;"),
        ("a[b]{c}|d", "a#91;b#93;#123;c#125;#124;d"),
        ("the end", "the #101;nd"),
        ("End-end bend", "#69;nd-#101;nd bend"),
        ("%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
        ("style a:#fff;", "style a#58;#35;fff#59;"),
        ("a\nb", "a#92;nb"),
        ("<b>`&", "#60;b#62;#96;#38;"),
        ("Ünïcode 日本 /path_1.x", "Ünïcode 日本 /path_1.x"),
    ],
)
def test_mermaids_own_marks_are_written_as_entity_codes(written, escaped):
    assert in_mermaid(written) == escaped


def test_the_text_has_a_line_for_each_task_whatever_its_name(evil):
    lines = list(text.lines(evil, 400))
    assert len(lines) == 3 + 2
    assert all(character.isprintable() for line in lines for character in line)
    assert SEEN in lines[1]


def test_a_name_opens_nothing_in_mermaid(evil):
    lines = list(mermaid.lines(evil))
    assert [line.strip().split("[")[0] for line in lines[1:5]] == ["subgraph n0", "n1", "n2", "end"]
    assert "script>" not in "".join(lines)
    assert all(line.count('"') in {0, 2} for line in lines)


def test_the_svg_is_xml_in_which_names_are_text(evil):
    document = svg.document(evil)
    root = ET.fromstring(document)  # noqa: S314 - our own document
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "g", "path", "text"}
    assert not [name for element in root.iter() for name in element.attrib if name.lower().startswith(("on", "href"))]
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert f"{SEEN} ({SEEN}): failed: {SEEN}" not in titles  # its name is its key
    assert f"{SEEN}: failed: {SEEN}" in titles
    document.encode("utf-8")


def test_text_is_measured_and_cut_by_columns():
    assert [columns(each) for each in ("abc", "日本", "e\u0301", "a\u200db")] == [3, 4, 1, 2]
    assert [cut(each, 4) for each in ("abcd", "abcde", "日本", "日本語")] == ["abcd", "abc…", "日本", "日…"]
