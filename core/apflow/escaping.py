"""Text of others in harmless lines.

What tasks, plugins and files hold is untrusted: a name may carry escape sequences that repaint the screen, marks that turn the
reading direction, or line breaks that make one record of a log look like two. Everything of theirs that a person gets to read
goes through `escaped`.
"""

from __future__ import annotations

import re

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
