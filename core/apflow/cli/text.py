"""Text for a terminal: measured in columns, and durations, instants and numbers as people read them."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from apflow_hookspecs import as_datetime

_WIDE = {"W": 2, "F": 2}
_EMOJI_STYLE = "\ufe0f"
_JOINER = "\u200d"


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
