"""Lines that a person types, while everything else goes on."""

from __future__ import annotations

import asyncio
import os
import sys

_MOST = 4096
"""Bytes of a line that a terminal hands over."""


class Withdrawn(Exception):
    """What was asked needs no answer any more."""


class Keyboard:
    """The terminal of whoever started the program, read a line at a time.

    No thread waits in it: such a one could not be ended. The terminal does the editing.

    Args:
        descriptor: Of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._line: asyncio.Future[str | None] | None = None

    def forget(self) -> None:
        """Drop what was typed ahead: it was meant for something else."""
        if sys.platform != "win32":
            import termios  # noqa: PLC0415 - only where there is one

            termios.tcflush(self._descriptor, termios.TCIFLUSH)

    async def line(self) -> str | None:
        """The next line, without its end; None at Ctrl-D, or when the terminal is gone.

        Raises:
            Withdrawn: `withdraw` was called.
        """
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str | None] = loop.create_future()
        self._line = line
        typed = bytearray()

        def read() -> None:
            part = self._read()
            typed.extend(part)
            if line.done():
                return
            if typed.endswith(b"\n"):
                line.set_result(typed.decode(errors="replace").rstrip("\n"))
            elif len(part) < _MOST:  # Ctrl-D hands over what was typed before it, without an end
                line.set_result(None)

        loop.add_reader(self._descriptor, read)
        try:
            return await line
        finally:
            loop.remove_reader(self._descriptor)

    def withdraw(self) -> None:
        """Whoever waits for a line need not."""
        if self._line is not None and not self._line.done():
            self._line.set_exception(Withdrawn())

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _MOST)
        except OSError:  # the terminal is gone
            return b""


def keyboard() -> Keyboard | None:
    """Where a person can be asked: standard input and output are a terminal, and this process is in its foreground."""
    if sys.platform == "win32" or sys.stdin is None or sys.stdout is None:
        return None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    descriptor = sys.stdin.fileno()
    try:
        foreground = os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # it is not the terminal of this session, which has no background then
        foreground = True
    return Keyboard(descriptor) if foreground else None
