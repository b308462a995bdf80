import json
import re

import pytest

from apflow.cli.text import columns, cut, duration, plural
from apflow.escaping import escaped, escaped_json


@pytest.mark.parametrize(
    ("harmful", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]52;c;YQ==\x07", r"\x1b]52;c;YQ==\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\x00b\x7f", r"a\x00b\x7f"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("txt.\u202eexe", r"txt.\u202eexe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\u200e\u061c\ufeff", r"\u200e\u061c\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\ue0041"),
        ("%s {0} [bold]", "%s {0} [bold]"),
        ("日本 é 👩\u200d💻", "日本 é 👩\u200d💻"),
    ],
)
def test_untrusted_text_is_shown_in_one_harmless_line(harmful, shown):
    assert escaped(harmful) == shown


def test_a_very_long_text_is_cut_and_says_by_how_much():
    shown = escaped("x" * 10_000_000)
    assert len(shown) < 5000
    assert shown.endswith("… (9995904 more characters)")


def test_escaped_json_means_the_same_and_holds_nothing_harmful():
    document = {"name": "\x9b31m \u202e \u2028 \U000e0041 \x7f é", "n": 1}
    text = escaped_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert json.loads(text) == document
    assert not re.search("[\x7f-\x9f\u2028\u202e\U000e0041]", text)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("é", 1), ("", 0)])
def test_columns_are_those_of_a_terminal(text, width):
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "shown"), [("abc", "abc"), ("abcdef", "abcd…"), ("日本語日本", "日本…"), ("ab日本語", "ab日…")]
)
def test_cut_leaves_at_most_so_many_columns(text, shown):
    assert cut(text, 5) == shown
    assert columns(cut(text, 5)) <= 5


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.42, "0.42 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1:00"),
        (245, "4:05"),
        (3723, "1:02:03"),
    ],
)
def test_durations_are_shown_for_people(seconds, shown):
    assert duration(seconds) == shown


def test_plurals():
    assert [plural(n, "task") for n in (0, 1, 2, 1234)] == ["0 tasks", "1 task", "2 tasks", "1,234 tasks"]
