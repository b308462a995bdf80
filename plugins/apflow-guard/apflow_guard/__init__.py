"""Requests that leave apflow, kept from where they must not go: a guarded transport for httpx.

What a plugin uses instead of plain httpx:

    guard = Guard(engine.section("guard", GuardOptions))
    async with guard.client() as client:
        response = await guard.send(client, client.build_request("GET", url))
        body = await response.aread()
"""

from apflow_guard.guard import Guard
from apflow_guard.options import GuardOptions
from apflow_guard.refusals import Refused, TooLong, TooMuch

__all__ = ["Guard", "GuardOptions", "Refused", "TooLong", "TooMuch"]
