"""How statuses look, in every form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from apflow_graph.model import Node


@frozen
class Look:
    """How a status looks.

    Args:
        sign: One column wide.
        terminal: Arguments of `click.style`.
        light: Colour on a light ground.
        dark: Colour on a dark ground.
    """

    sign: str
    terminal: dict[str, Any]
    light: str
    dark: str


LOOKS = {
    "pending": Look("·", {"dim": True}, "#6b7280", "#9ca3af"),
    "in_progress": Look("▸", {"fg": "cyan"}, "#0369a1", "#38bdf8"),
    "waiting": Look("◦", {"fg": "yellow"}, "#a16207", "#facc15"),
    "completed": Look("✓", {"fg": "green"}, "#15803d", "#4ade80"),
    "failed": Look("✗", {"fg": "red", "bold": True}, "#b91c1c", "#f87171"),
    "cancelled": Look("⊘", {"fg": "yellow"}, "#7e22ce", "#c084fc"),
    "skipped": Look("\u2013", {"dim": True}, "#6b7280", "#9ca3af"),
}  # fmt: skip
"""By status, in the order of a task's life."""


def present(nodes: Iterable[Node]) -> list[str]:
    """The statuses that occur, in the order of a task's life."""
    found = {node.status for node in nodes}
    return [status for status in LOOKS if status in found]
