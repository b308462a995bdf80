"""`apflow token`: through the operations, and so also while a server has the storage open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from apflow_hookspecs import SCOPES, Json

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_COLUMNS = ("id", "user_id", "scopes", "created_at", "expires_at", "last_used_at", "name")


class Session(Protocol):
    """What the program hands to a command (see `apflow_hookspecs.Command`)."""

    json: bool

    def call(self, operation: str, **params: Json) -> Json:
        """The answer to one operation."""
        ...


if TYPE_CHECKING:
    _ParamType = click.ParamType[float]
else:
    _ParamType = click.ParamType  # which takes no type before click 8.4


class Duration(_ParamType):
    """A number with a unit, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: a whole number with one of s, m, h, d, w, as 30d", param, ctx)
        return float(int(found[1]) * _UNITS[found[2]])


@click.group("token")
def token() -> None:
    """Create, list and revoke tokens for the server."""


@token.command("create")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(SCOPES)), help="What it may. Repeatable."
)
@click.option("--user", metavar="USER", help="On whose behalf it speaks; needed unless it has the scope admin.")
@click.option("--expires", type=Duration(), metavar="DURATION", help="For how long it is valid, as 12h or 30d.  [for ever]")
@click.option("--name", metavar="TEXT", help="What it is for.")
@click.pass_obj
def create(session: Session, scopes: tuple[str, ...], user: str | None, expires: float | None, name: str | None) -> None:
    """Create a token, and print it: the only time that it is shown."""
    made = session.call("tokens.create", scopes=list(scopes), user_id=user, expires_in=expires, name=name)
    if session.json:
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(made["token"])
    until = "never expires" if made["expires_at"] is None else f"expires at {made['expires_at']}"
    click.echo(f"It is shown only now. Its id is {made['id']}, and it {until}.", err=True)


@token.command("list")
@click.pass_obj
def list_tokens(session: Session) -> None:
    """List the tokens: whose they are and what they may, never the tokens themselves."""
    found = session.call("tokens.list")
    if session.json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in _aligned([[name.removesuffix("_at").removesuffix("_id").replace("_", " ").upper() for name in _COLUMNS],
                          *map(_row, found["tokens"])]):  # fmt: skip
        click.echo(line)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@click.pass_obj
def revoke(session: Session, token_id: str) -> None:
    """Revoke a token, which is denied at once, also by a server that runs."""
    answer = session.call("tokens.revoke", id=token_id)
    click.echo(json.dumps(answer, indent=2) if session.json else f"revoked {answer['revoked']}")


def _row(view: dict[str, Json]) -> list[str]:
    told = {**view, "scopes": ", ".join(view["scopes"]), "expires_at": view["expires_at"] or "never"}
    if view["expired"]:
        told["expires_at"] = f"{view['expires_at']} (expired)"
    return [_harmless(told[name] or "") for name in _COLUMNS]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
    return ("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _harmless(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
