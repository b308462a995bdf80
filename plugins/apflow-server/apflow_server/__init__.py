"""The server of apflow: its operations over HTTP.

`apflow serve` starts it. Plugins join in by the hooks of `apflow_server.specs`; what an operator may set stands in
`apflow_server.options`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from apflow_hookspecs import Command, hookimpl

if TYPE_CHECKING:
    from pluggy import PluginManager

__all__ = ["Server"]


class Server:
    """The plugin, one for each host.

    Attributes:
        plugins: Who implements the hooks of the server.
    """

    plugins: PluginManager

    @hookimpl
    def apflow_addhooks(self, host: PluginManager) -> None:
        """Add the hooks of the server."""
        from apflow_server import specs  # noqa: PLC0415 - a plugin is imported at every start

        host.add_hookspecs(specs)
        self.plugins = host

    @hookimpl
    def apflow_commands(self) -> Iterator[Command]:
        """Provide `apflow serve`."""
        yield Command("serve", "Serve the operations over HTTP.", "apflow_server.command:serve")
