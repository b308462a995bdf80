"""What an operator may set: the section `[server]`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt, le

MIB = 1 << 20


def _origins(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for origin in value:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError(f"{attribute.name} must hold origins, as 'https://example.org', and not {origin!r}")


@frozen
class Options:
    """The section `[server]`.

    Args:
        host: Name or address to bind to.
        port: 0 takes a free one.
        allowed_hosts: Names that the `Host` of a request may have, beside those of loopback and `host`; `*` allows all.
        cors_origins: Other origins whose pages may use the server; `https://example.org`.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` and `-Proto` count.
        max_body: Bytes of a request's body.
        body_timeout: Seconds in which a body has to arrive.
        max_nodes: Values in the JSON of a request.
        max_depth: Levels of nesting in it.
        max_batch: Requests in a JSON-RPC batch.
        max_header: Bytes of a request's line and headers.
        header_timeout: Seconds in which these have to arrive.
        write_timeout: Seconds after which a client that takes nothing of its answer is cut off.
        keep_alive: Seconds for which an idle connection is kept.
        max_connections: Open connections.
        max_requests: Requests that are worked on at once; event streams do not count.
        backlog: Connections that wait to be accepted.
        streams_per_user: Event streams that one user may have open.
        stream_buffer: Events that wait for one slow reader.
        stream_stall: Seconds after which a reader that takes nothing is dropped.
        hook_timeout: Seconds that a plugin's asynchronous hook may take.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8000, validator=[ge(0), le(65_535)])
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = field(default=(), validator=_origins)
    trusted_proxies: tuple[str, ...] = ()
    max_body: int = field(default=16 * MIB, validator=gt(0))
    body_timeout: float = field(default=30.0, validator=gt(0))
    max_nodes: int = field(default=200_000, validator=gt(0))
    max_depth: int = field(default=64, validator=gt(0))
    max_batch: int = field(default=100, validator=gt(0))
    max_header: int = field(default=64 * 1024, validator=gt(0))
    header_timeout: float = field(default=10.0, validator=gt(0))
    write_timeout: float = field(default=30.0, validator=gt(0))
    keep_alive: float = field(default=5.0, validator=gt(0))
    max_connections: int = field(default=1000, validator=gt(0))
    max_requests: int = field(default=256, validator=gt(0))
    backlog: int = field(default=2048, validator=gt(0))
    streams_per_user: int = field(default=20, validator=gt(0))
    stream_buffer: int = field(default=256, validator=gt(0))
    stream_stall: float = field(default=30.0, validator=gt(0))
    hook_timeout: float = field(default=5.0, validator=gt(0))
