"""`apflow secrets`: what tasks may name. No value is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import click

from apflow_hookspecs import Json
from apflow_secrets.options import Options, Secret
from apflow_secrets.refusal import Refused
from apflow_secrets.values import read

C = TypeVar("C")
HEADER = ("name", "source", "executors", "hosts", "remote", "can be read")


class Session(Protocol):
    """What the program hands to a command (see `apflow_hookspecs.Command`)."""

    json: bool

    def section(self, name: str, cls: type[C]) -> C:
        """A plugin's table of the configuration."""
        ...


@click.group("secrets")
def secrets() -> None:
    """Show the secrets that tasks may name, never their values."""


@secrets.command("list")
@click.pass_obj
def list_secrets(session: Session) -> None:
    """List the secrets of the configuration: where each is, who may have it, and whether this user can read it now."""
    found = [_view(name, secret) for name, secret in sorted(session.section("secrets", Options).known.items())]
    if session.json:
        click.echo(json.dumps({"secrets": found}, indent=2))
        return
    for line in _table([HEADER, *map(_row, found)]):
        click.echo(line)


def _view(name: str, secret: Secret) -> dict[str, Json]:
    try:
        read(secret)
    except Refused as refused:
        why: str | None = refused.why
    else:
        why = None
    return {
        "name": name,
        "source": secret.source,
        "executors": list(secret.executors),
        "hosts": None if secret.hosts is None else list(secret.hosts),
        "remote": secret.remote,
        "readable": why is None,
        "why": why,
    }


def _row(view: dict[str, Json]) -> Sequence[str]:
    hosts = "any" if view["hosts"] is None else ", ".join(view["hosts"])
    readable = "yes" if view["readable"] else f"no: {view['why']}"
    return view["name"], view["source"], ", ".join(view["executors"]), hosts, "yes" if view["remote"] else "no", readable


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [list(map(_plain, row)) for row in rows]
    cells[0] = [name.upper() for name in cells[0]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _plain(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
