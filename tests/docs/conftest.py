"""What the documents say, in pieces that a test can hold to the code."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

HOUSE = Path(__file__).resolve().parents[2]
PAGES = HOUSE / "docs" / "pages"
DOCUMENTS = [
    *(HOUSE / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(PAGES.rglob("*.md")),
    *sorted(
        path for folder in ("changelog.d", "examples", "hookspecs", "plugins") for path in (HOUSE / folder).rglob("README.md")
    ),
]
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Snippet:
    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(HOUSE)}:{self.line}"


def snippets(language: str, *documents: Path) -> list[Snippet]:
    """The fenced blocks of a language, in the documents named or in all."""
    return [
        Snippet(document, text.count("\n", 0, found.start()) + 1, language, found["text"])
        for document in documents or DOCUMENTS
        for text in [document.read_text()]
        for found in FENCE.finditer(text)
        if found["language"] == language
    ]
