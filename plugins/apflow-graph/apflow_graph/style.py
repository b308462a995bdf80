"""The style of the SVG form."""

from __future__ import annotations

from collections.abc import Iterable

from apflow_graph.looks import LOOKS

_RULES = """\
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
.ground { fill: var(--ground); }
.box { fill: var(--box); stroke: var(--status); stroke-width: 1.5; }
.frame { fill: var(--frame); stroke: var(--line); stroke-opacity: 0.6; }
.name { fill: var(--ink); }
.more { fill: var(--faint); font-size: 11px; }
.sign { fill: var(--status); font-size: 15px; font-weight: bold; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.5; }
.optional { stroke-dasharray: 5 4; }
.tip { fill: var(--line); }
.path { fill: var(--faint); font: 10px ui-monospace, "DejaVu Sans Mono", monospace; }"""
_LIGHT = "--ground: #ffffff; --box: #ffffff; --frame: #6b728012; --ink: #111827; --faint: #6b7280; --line: #9ca3af;"
_DARK = "--ground: #0d1117; --box: #161b22; --frame: #9ca3af14; --ink: #e6edf3; --faint: #9ca3af; --line: #6b7280;"


def style(statuses: Iterable[str]) -> str:
    """The sheet, with the colours of some statuses."""
    found = list(statuses)
    light = [f".{status} {{ --status: {LOOKS[status].light}; }}" for status in found]
    dark = [f".{status} {{ --status: {LOOKS[status].dark}; }}" for status in found]
    return "\n".join(
        [f"svg {{ {_LIGHT} }}", *light, "@media (prefers-color-scheme: dark) {", f"svg {{ {_DARK} }}", *dark, "}", _RULES]
    )
