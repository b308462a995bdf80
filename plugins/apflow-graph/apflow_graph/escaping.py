"""Making harmless what users wrote: a name may repaint a terminal, turn the reading direction, or hold a script."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from itertools import accumulate, takewhile

_JOINERS = "\u200c\u200d"
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LAST_OF_PLANE = 0xFFFE
_PLAIN_IN_MERMAID = re.compile(r"[A-Za-z0-9 _.,/()'-]")
_KEYWORD = re.compile(r"\bend\b", re.IGNORECASE)


def plain(text: str) -> str:
    r"""A text in one line in which every character is seen: control characters, direction marks and their like as `\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    # The zero width joiners stay: scripts and emoji need them. The last two of each plane are no characters, for XML neither.
    hidden = unicodedata.category(character) in _UNSEEN and character not in _JOINERS
    noncharacter = ord(character) & _LAST_OF_PLANE == _LAST_OF_PLANE
    return character.encode("unicode_escape").decode("ascii") if hidden or noncharacter else character


def xml(text: str) -> str:
    """A text that stands for itself in XML, between tags and between quotes."""
    return escape(plain(text))


def mermaid(text: str) -> str:
    """A text that stands for itself between quotes in Mermaid (mermaid.js.org, Flowcharts, "Entity codes")."""
    escaped = "".join(map(_in_mermaid, plain(text)))
    return _KEYWORD.sub(lambda word: f"#{ord(word[0][0])};{word[0][1:]}", escaped)


def _in_mermaid(character: str) -> str:
    harmless = not character.isascii() or _PLAIN_IN_MERMAID.match(character)
    return character if harmless else f"#{ord(character)};"


def columns(text: str) -> int:
    """How many columns of a terminal a harmless text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """A harmless text in at most `width` columns, with `…` for what is left out."""
    if columns(text) <= width:
        return text
    measured = zip(text, accumulate(map(_columns_of, text)), strict=True)
    return "".join(character for character, end in takewhile(lambda pair: pair[1] < width, measured)) + "…"
