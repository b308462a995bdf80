"""Command lines without a shell."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from apflow_stdio.words import split


@pytest.mark.parametrize(
    ("line", "character"),
    [
        ("echo a; id", ";"),
        ("echo a | cat", "|"),
        ("echo a & id", "&"),
        ("echo a && id", "&"),
        ("echo a > file", ">"),
        ("cat < file", "<"),
        ("echo $HOME", "$"),
        ("echo $(id)", "$"),
        ("echo `id`", "`"),
        ("(id)", "("),
        ("echo a)", ")"),
        ("echo a\nid", "\n"),
        ("echo a\rid", "\r"),
        ("echo a \\\n b", "\n"),
        ("ls *.py", "*"),
        ("ls ?.py", "?"),
        ("ls [ab].py", "["),
        ("ls ~", "~"),
        ("echo a # b", "#"),
        ('echo "$HOME"', "$"),
        ('echo "\\$HOME"', "$"),
        ('echo "`id`"', "`"),
        ("echo 'a'; id", ";"),
        ('echo "a"|id', "|"),
        ("echo it\\'s $HOME", "$"),
    ],
)
def test_what_a_shell_would_act_on_is_refused_by_name(line, character):
    with pytest.raises(ValueError, match="there is no shell") as refusal:
        split(line)
    assert f"must not hold {character!r}" in str(refusal.value)


@pytest.mark.parametrize(
    "line",
    [
        "uname -a",
        "  uname\t-a  \n",
        "python3 -c 'import sys; print(sys.version)'",
        'python3 -c "import sys; print(sys.version)"',
        "echo 'a | b' \"c & d\" e\\;f",
        "echo \"a \\\" b\" '$HOME' \\$HOME ''",
        "echo a#b c~d --x=~y",
        "echo 'two\nlines'",
        "echo größe ☃",
    ],
)
def test_what_is_quoted_means_what_it_means_to_a_shell(line):
    by_shell = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    assert split(line) == by_shell.decode().split("\0")[:-1]


def test_words_of_a_list_survive_quoting():
    words = ["printf", "%s;", "a b", "$HOME", "`id`", "it's", '"', "\\", "*", "\n", "-x=~", "ß"]
    assert split(shlex.join(words)) == words


@pytest.mark.parametrize("line", ["", "  \n", "echo 'open", 'echo "open', "echo \\"])
def test_a_line_without_words_or_with_an_open_quote_is_refused(line):
    with pytest.raises(ValueError, match="must"):
        split(line)


def test_a_variable_before_the_program_is_refused_with_where_to_put_it():
    with pytest.raises(ValueError, match="input env"):
        split("LANG=C sort file")
