"""Credentials for the server of apflow: bearer tokens and JSON Web Tokens.

What a request shows stands in `apflow_auth.presented`, the tokens of the storage in `apflow_auth.tokens`, JSON Web Tokens in
`apflow_auth.webtokens`; `apflow_auth.gate` puts these together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from apflow_hookspecs import Caller, Command, Engine, Operation, hookimpl

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from apflow_auth.gate import Gate


class Auth:
    """The plugin, one for each host."""

    def __init__(self) -> None:
        self._gate: Gate | None = None

    @hookimpl(optionalhook=True)
    async def apflow_credentials(self, engine: Engine) -> Sequence[str]:
        """Read the section `[auth]` with its keys, and tell what is configured."""
        from apflow_auth.gate import Gate  # noqa: PLC0415 - a plugin is imported at every start

        self._gate = Gate.of(engine)
        return await self._gate.credentials()

    @hookimpl(optionalhook=True)
    async def apflow_authenticate(self, request: HTTPConnection) -> Caller | None:
        """Tell who shows a token."""
        return None if self._gate is None else await self._gate.caller(request)

    @hookimpl
    def apflow_operations(self) -> Iterator[Operation]:
        """Provide `tokens.create`, `tokens.list` and `tokens.revoke`."""
        from apflow_auth.operations import OPERATIONS  # noqa: PLC0415 - they load msgspec

        yield from OPERATIONS

    @hookimpl
    def apflow_commands(self) -> Iterator[Command]:
        """Provide `apflow token`."""
        yield Command("token", "Create, list and revoke tokens for the server.", "apflow_auth.command:token")
