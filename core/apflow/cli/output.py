"""Printing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from apflow.escaping import escaped_json
from apflow_hookspecs import Json


def colour() -> bool | None:
    """False where nobody wants colour (https://no-color.org), else None: click finds out whether this is a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def say(line: str) -> None:
    """Say something beside the output, in one harmless line on standard error, also while a live display is shown."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are harmless already."""
    for line in lines:
        click.echo(line)


def print_json(document: Json) -> None:
    """Print a document for machines, indented."""
    from apflow.operations.views import pretty  # noqa: PLC0415 - loads msgspec

    click.echo(_shown(pretty(document)))


def print_json_line(document: Json) -> None:
    """Print one document of a stream, in one line."""
    click.echo(compact(document))


def compact(document: Json) -> str:
    """A document in one line."""
    from apflow.operations.views import encode  # noqa: PLC0415 - loads msgspec

    return _shown(encode(document))


def _shown(document: bytes) -> str:
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    return escaped_json(document.decode(), ascii_only=ascii_only)
