"""A client that speaks HTTP byte by byte, as no well-behaved one does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def connected(port):
    """Reader and writer of a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def said(port, *parts, end=False):
    """All that the server says to some bytes, until it closes the connection."""
    async with connected(port) as (reader, writer):
        with suppress(ConnectionError):
            for part in parts:
                writer.write(part if isinstance(part, bytes) else part.encode())
                await writer.drain()
            if end:
                writer.write_eof()
        return await everything(reader)


async def everything(reader):
    """What comes until the connection is closed, be it in order or not."""
    parts = []
    with suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), 60):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def status(answer):
    """The number in the first line."""
    return int(answer.split(" ", 2)[1]) if answer else None


def head(method="GET", path="/tasks", **headers):
    """The head of a request that is the last one of its connection."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in {"Host": "127.0.0.1", **headers}.items()]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}Connection: close\r\n\r\n"
