"""`apflow plugins`: what is installed, what became of it, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from attrs import asdict

from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.cli.tables import fields, table
from apflow_hookspecs import Json

if TYPE_CHECKING:
    from apflow.plugins import PluginInfo


@click.group()
def plugins() -> None:
    """Show the plugins, their state and why.

    With --no-plugins they are listed from their metadata, and none is imported.
    """


@plugins.command("list")
@shared_options
@click.pass_obj
def list_plugins(session: Session) -> None:
    """List the installed plugins."""
    found = session.plugins
    if session.json:
        print_json({"plugins": [_view(plugin) for plugin in found]})
        return
    rows = [(plugin.name, plugin.state, plugin.version, plugin.distribution, plugin.reason) for plugin in found]
    print_lines(table(("name", "state", "version", "distribution", "why"), rows))


@plugins.command("show")
@click.argument("name", metavar="NAME")
@shared_options
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one plugin; NAME is its own or its distribution's."""
    from apflow.plugins import normalised  # noqa: PLC0415 - loads importlib.metadata

    wanted = normalised(name)
    found = [one for one in session.plugins if wanted in {normalised(one.name), normalised(one.distribution or one.name)}]
    if not found:
        known = ", ".join(one.name for one in session.plugins)
        raise click.UsageError(f"There is no plugin {name!r}; installed are {known or 'none'}.")
    if session.json:
        print_json([_view(plugin) for plugin in found] if len(found) > 1 else _view(found[0]))
        return
    for n, plugin in enumerate(found):
        print_lines([""] if n else [])
        print_lines(fields({**_view(plugin), "hooks": ", ".join(plugin.hooks) or None, "failures": plugin.failures or None}))


def _view(plugin: PluginInfo) -> dict[str, Json]:
    return {**asdict(plugin), "state": plugin.state.value, "hooks": list(plugin.hooks)}
