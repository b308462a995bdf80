"""The hosts that inputs name, in the one form in which they are compared.

An executor reads a URL with a parser of its own. Whatever two parsers may read differently (backslashes, spaces, letters that
IDNA 2003 and 2008 turn into different names) is therefore refused instead of understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from apflow_hookspecs import Json
from apflow_hookspecs.errors import shortened

INPUTS = ("url", "base_url", "server", "host")
"""The inputs that name a host; `server` with a port, if it likes."""

NOT_A_HOST = "must name a host, in a form that every program reads alike"
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_AMBIGUOUS = re.compile(r"[\s\\\x00-\x20\x7f]")


def pattern(text: str) -> str:
    """A host of the configuration, as `covered` wants it.

    Raises:
        ValueError: It is neither a host's name, nor an address, nor `*.` before a name.
    """
    wildcard = "*." if text.startswith("*.") else ""
    host = _normal(_bare(text.removeprefix(wildcard)))
    if host is None:
        raise ValueError(f"hosts: {shortened(text)} must be the name of a host, its address, or '*.' and a name")
    return wildcard + host


def covered(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of those."""
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in patterns)


def host_in(field: str, value: Json) -> str | None:
    """The host that the input `field` names; None for a path, which is relative to another URL.

    Raises:
        ValueError: There is none; the message is the rule, and never holds the value.
    """
    if not isinstance(value, str) or _AMBIGUOUS.search(value):
        raise ValueError(NOT_A_HOST)
    if field.endswith("url") and value.startswith("/") and not value.startswith("//"):
        return None
    host = _normal(_bare(value)) if field == "host" else _normal(_of_url(value if field.endswith("url") else f"//{value}"))
    if host is None or (field == "server" and set(value) & set("/?#@")):
        raise ValueError(NOT_A_HOST)
    return host


def _of_url(url: str) -> str:
    """The host of a URL as it stands there; empty where there is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return ""
    return "" if parts.netloc.count("@") > 1 else parts.hostname or ""


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _normal(host: str) -> str | None:
    """A host in lower case, ASCII and without a dot at its end, or an address in its shortest form; None if it is neither."""
    name = host.lower().removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        name = name if name.isascii() else _ascii(name)
    return name if _NAME.fullmatch(name) else None


def _ascii(name: str) -> str:
    """A name as DNS knows it; empty where the versions of IDNA disagree: what does not come back as it was was mapped."""
    try:
        encoded = name.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == name else ""
    except UnicodeError:
        return ""
