"""How a request fails that the guard ends; everything else is an exception of httpx.

Each has the host in its details as it is, an IPv6 address without brackets; path, query and userinfo of a URL may hold secrets
and are never told.
"""

from __future__ import annotations

import re

from apflow_hookspecs import TaskFailed
from apflow_hookspecs.errors import shortened

_ORDINARY = re.compile(r"[a-z0-9._-]{1,253}")
_IPV6 = re.compile(r"[0-9a-f:.]{2,45}")


class Refused(TaskFailed):
    """The request must not go there.

    Args:
        host: The URL's; None where it has none that can be told.
        rule: What it breaks, as a sentence.
        allow: What the operator could write into `guard.allow` to open it; None where nothing opens it.
    """

    def __init__(self, host: str | None, rule: str, allow: str | None = None) -> None:
        opened = "" if allow is None else f"; the operator can open it with guard.allow = [{allow!r}]"
        super().__init__(f"{_shown(host)} is refused: {rule}{opened}", error="denied", details={"host": host, "rule": rule})


class TooMuch(TaskFailed):
    """The answer has more bytes than are taken."""

    def __init__(self, host: str, max_bytes: int) -> None:
        super().__init__(
            f"{_shown(host)}: the answer has more than {max_bytes:,} bytes", details={"host": host, "max_bytes": max_bytes}
        )


class TooLong(TaskFailed):
    """The request took longer than it may."""

    def __init__(self, host: str, seconds: float) -> None:
        message = f"{_shown(host)}: the request took longer than {seconds:g} s"
        super().__init__(message, error="timeout", details={"host": host, "timeout": seconds})


def _shown(host: str | None) -> str:
    """A host as it stands in a URL."""
    if host is None:
        return "the URL"
    if _IPV6.fullmatch(host) and ":" in host:
        return f"[{host}]"
    return host if _ORDINARY.fullmatch(host) else shortened(host)
