"""One connection: what uvicorn leaves open ends here, before clients that are slow or silent can gather.

uvicorn bounds neither the head of a request, nor the time that it takes, nor that of a client that takes no answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apflow_server.options import Options

_CLOSED = b"connection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSED
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSED
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSED


LEAST_RATE = 1024
"""Bytes in a second that a client has to take, as long as an answer waits for it."""


def protocol(options: Options) -> type[asyncio.Protocol]:
    """The class of an operator's connections."""
    return type("Connection", (_Connection,), {"limits": options})


class _Connection(HttpToolsProtocol):
    limits: Options

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # whatever waits to be taken is noticed
        if len(self.connections) > self.limits.max_connections:
            self._end(TOO_MANY)
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
            if self._head_timer is None:
                self._await_head()
        super().data_received(data)
        if self._in_head and self._head > self.limits.max_header:
            self._end(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: Any = {"apflow.abort": self.transport.abort}
        self.scope["extensions"] = extensions
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        _stop(self._head_timer)
        self._head_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        pipelined = bool(self.pipeline)  # then it is the body of the next request that is still arriving
        super().on_response_complete()
        if pipelined or self._in_head or self.transport.is_closing():
            return
        # Nobody reads the rest of its body. What is still under way is taken, or the client would not see the answer.
        self._unset_keepalive_if_required()
        _stop(self._head_timer)
        self._head_timer = self.loop.call_later(self.limits.keep_alive, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._await_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._write_timer)
        self._write_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._head_timer)
        _stop(self._write_timer)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _unsupported_upgrade_warning(self) -> None:
        """Anybody can ask for one; that is no news."""

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.header_timeout, self._end, TOO_SLOW)

    def _await_reader(self, before: int) -> None:
        self._write_timer = self.loop.call_later(self.limits.write_timeout, self._look, before)

    def _look(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if before - waiting < min(before, LEAST_RATE * self.limits.write_timeout):
            self.transport.abort()
        else:
            self._await_reader(waiting)

    def _end(self, answer: bytes) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr] # None at first
            self.transport.abort()  # there is no saying it in the middle of another answer
        elif not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
