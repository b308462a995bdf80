"""Draws a tree of apflow as text, Mermaid and SVG.

What is drawn stands in `apflow_graph.model`; each form in a module of its own, which takes that and gives text.
"""

from __future__ import annotations

from collections.abc import Iterator

from apflow_hookspecs import Command, hookimpl


@hookimpl
def apflow_commands() -> Iterator[Command]:
    """Provide `apflow graph`."""
    yield Command("graph", "Draw a tree as text, Mermaid or SVG.", "apflow_graph.command:graph")
