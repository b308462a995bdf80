"""The two markers, and the name they share."""

from __future__ import annotations

from typing import Final

from pluggy import HookimplMarker, HookspecMarker

PROJECT: Final = "apflow"
"""The pluggy project, and the entry-point group in which plugins are found."""

hookspec = HookspecMarker(PROJECT)
"""Marks a hook's definition; a plugin needs it only for hooks of its own (`apflow_addhooks`)."""

hookimpl = HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook."""
