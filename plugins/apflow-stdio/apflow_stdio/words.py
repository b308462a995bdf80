"""A command line as words, without a shell.

What a shell would act on is refused instead of being handed to the program as text, since whoever wrote it meant something
else: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html#tag_18_02 names those characters. Quoted or
escaped they are text here as there.
"""

from __future__ import annotations

import re
import shlex

_PIECES = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|.""", re.DOTALL)
_ACTIVE = frozenset(";|&><$`()*?[\n\r")
_ACTIVE_AT_START = frozenset("#~")
_ACTIVE_IN_QUOTES = re.compile(r"[$`]|\\\n")


def split(line: str) -> list[str]:
    """The words of a command line; quotes and backslashes work as in a shell.

    Raises:
        ValueError: A character would need a shell, a quote stays open, or there is no word; the message is the rule.
    """
    line = line.strip()
    active = _needing_a_shell(line)
    if active is not None:
        raise ValueError(f"must not hold {active!r}: there is no shell; quote it, or give the command as a list")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"must have its quotes closed: {str(error).lower()}") from None
    if not words:
        raise ValueError("must name a program")
    if "=" in words[0]:
        raise ValueError("must begin with a program, not with a '=': variables go into the input env")
    return words


def _needing_a_shell(line: str) -> str | None:
    at_start = True
    for match in _PIECES.finditer(line):
        piece = match[0]
        if piece in _ACTIVE or (at_start and piece in _ACTIVE_AT_START):
            return piece
        if piece == "\\\n":
            return "\n"
        if piece.startswith('"') and (active := _ACTIVE_IN_QUOTES.search(piece)):
            return active[0].lstrip("\\")
        at_start = piece.isspace()
    return None
