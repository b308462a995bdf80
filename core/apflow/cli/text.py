"""Text for a terminal: harmless, and measured in columns.

What tasks, plugins and files hold is untrusted: a name may carry escape sequences that repaint the screen, or marks that turn
the reading direction. Everything of theirs that a person gets to read goes through `escaped`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from apflow_hookspecs import as_datetime

LONGEST = 4096
"""Characters of one text that are shown."""

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# C0, DEL, C1; soft hyphen; Arabic letter mark; zero width space, direction marks; line and paragraph separators, bidi
# embeddings and isolates, invisible operators; byte order mark, interlinear marks; lone surrogates; tags. Not the zero width
# joiners: scripts and emoji need them.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_BEYOND_ASCII = re.compile("[^ -~\n]")
_WIDE = {"W": 2, "F": 2}
_EMOJI_STYLE = "\ufe0f"
_JOINER = "\u200d"


def escaped(text: object, longest: int = LONGEST) -> str:
    r"""A text in one harmless line: control characters, line breaks, direction marks and their like as `\n`, `\x1b`, `\u202e`.

    What is longer than `longest` characters is cut, and says by how much.
    """
    whole = str(text)
    shown = _HARMFUL.sub(_escape, whole[:longest])
    return shown if len(whole) <= longest else f"{shown}… ({len(whole) - longest} more characters)"


def escaped_json(document: str, *, ascii_only: bool = False) -> str:
    """A JSON document, the same, with those characters as JSON escapes (or all beyond ASCII): safe to look at."""
    escape = _BEYOND_ASCII if ascii_only else _HARMFUL
    return escape.sub(lambda found: found[0] if found[0] == "\n" else _json_escape(found[0]), document)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")  # noqa: PLR2004 - Latin-1


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if character in (_JOINER, _EMOJI_STYLE) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return _WIDE.get(unicodedata.east_asian_width(character), 1)


def cut(text: str, width: int) -> str:
    """A text in at most `width` columns, with `…` for what is left out."""
    if columns(text) <= width:
        return text
    room = width - 1
    for at, character in enumerate(text):
        room -= _columns_of(character)
        if room < 0:
            return f"{text[:at]}…"
    return text


def duration(seconds: float) -> str:
    """A duration for people: `0.42 s`, `12.3 s`, `4:05`, `1:02:03`."""
    if round(seconds, 2) < 10:  # noqa: PLR2004 - as the docstring says
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(instant: int) -> str:
    """An instant as local time of day: `12:00:01`."""
    return f"{as_datetime(instant).astimezone():%H:%M:%S}"


def moment(instant: str | int | None) -> str:
    """An instant, also as RFC 3339, as local date and time: `2031-05-06 12:00:01`; nothing for None."""
    if instant is None:
        return ""
    at = as_datetime(instant) if isinstance(instant, int) else datetime.fromisoformat(instant)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def plural(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
