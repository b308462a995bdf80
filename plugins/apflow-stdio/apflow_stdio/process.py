"""A process and all its descendants, from start to end.

Between apflow and the command stands `apflow_stdio.supervisor`, at the other end of a socket, the lifeline: when that closes,
however it comes to close, the supervisor ends whatever the command started. So a task that is cancelled, a time that is over,
an attempt that was abandoned and an apflow that was killed all end in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from attrs import evolve, frozen

from apflow_stdio.launch import Launch

SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
STRAGGLING: Final = 1.0
"""Seconds for which output is still read when all processes are gone; a stream may have been handed to a stranger."""


class Kept(asyncio.Protocol):
    """What is kept of an output stream: its beginning and its end, however much comes.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.total = 0
        self._room = limit // 2
        self._ending = limit - self._room
        self._head = bytearray()
        self._tail = bytearray()

    def data_received(self, data: bytes) -> None:
        self.total += len(data)
        missing = self._room - len(self._head)
        self._head += data[:missing]
        self._tail += data[missing:]
        if len(self._tail) > 2 * self._ending:
            self._trim()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)

    def _trim(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._ending)]

    @property
    def left_out(self) -> int:
        """Bytes between beginning and end that were not kept."""
        return max(0, self.total - self._room - self._ending)

    @property
    def text(self) -> str:
        """What was kept, undecodable bytes replaced, with a line where something was left out."""
        self._trim()
        if not self.left_out:
            return (self._head + self._tail).decode(errors="replace").strip()
        beginning, ending = self._head.decode(errors="replace"), self._tail.decode(errors="replace")
        return f"{beginning}\n… {self.left_out} bytes left out …\n{ending}".strip()


@frozen
class Outcome:
    """How a command ended.

    Args:
        return_code: Its exit code, or the negative number of the signal that ended it; None when it never ran or was lost.
        failure: What could not be done to start it (`limits`, `folder` or `program`), and the errno.
        left: Process groups that could not be ended.
        timed_out: Whether it was ended because its time was over.
    """

    stdout: Kept
    stderr: Kept
    return_code: int | None = None
    failure: tuple[str, int] | None = None
    left: tuple[int, ...] = ()
    timed_out: bool = False


async def run(launch: Launch) -> Outcome:
    """Run a command to its end.

    When it is cancelled or out of time, the command and every process below it are ended (SIGTERM, then SIGKILL after
    `launch.grace`) before this returns.

    Raises:
        OSError: The supervisor cannot be started.
    """
    lifeline, theirs = socket.socketpair()
    work = asyncio.create_task(_supervise(launch, lifeline, theirs))
    try:
        try:
            async with asyncio.timeout(launch.timeout):
                return await asyncio.shield(work)
        except TimeoutError:
            _cut(lifeline)
            return evolve(await asyncio.shield(work), timed_out=True)
    except asyncio.CancelledError:
        _cut(lifeline)
        await asyncio.wait({work})
        _ = work.cancelled() or work.exception()
        raise


def _cut(lifeline: socket.socket) -> None:
    with contextlib.suppress(OSError):
        lifeline.shutdown(socket.SHUT_WR)


async def _supervise(launch: Launch, lifeline: socket.socket, theirs: socket.socket) -> Outcome:
    loop = asyncio.get_running_loop()
    lifeline.setblocking(False)  # noqa: FBT003 - its only parameter
    with ExitStack() as ours:
        ours.enter_context(lifeline)
        with ExitStack() as given:
            given.enter_context(theirs)
            stdin = given.enter_context(_holding(launch.input))
            stdout, out = await _reading(launch.max_output, ours, given)
            stderr, err = await _reading(launch.max_output, ours, given)
            spec = _spec(launch)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(SUPERVISOR), *_numbers(launch, theirs.fileno(), len(spec)),
                stdin=stdin, stdout=out, stderr=err, pass_fds=(theirs.fileno(),), env=_loading(), start_new_session=True,
            )  # fmt: skip
        with contextlib.suppress(ConnectionError):  # cut before the command was started
            await loop.sock_sendall(lifeline, spec)
        report = await _report(lifeline)
        await process.wait()
        outcome = _outcome(report, stdout, stderr)
        if outcome.return_code is None and "started" in report:
            _bury(int(report["started"]))
        await asyncio.wait({stdout.closed, stderr.closed}, timeout=STRAGGLING)
        return outcome


async def _reading(limit: int, ours: ExitStack, given: ExitStack) -> tuple[Kept, int]:
    """A pipe whose reading end is ours and whose writing end is given to the command."""
    reads, writes = os.pipe()
    given.callback(os.close, writes)
    pipe = os.fdopen(reads, "rb", buffering=0)
    transport, kept = await asyncio.get_running_loop().connect_read_pipe(lambda: Kept(limit), pipe)
    ours.callback(transport.close)
    return kept, writes


def _holding(text: bytes | None) -> BinaryIO:
    """A file to read from standard input, which the caller closes; in memory where the system has such files."""
    if text is None:
        return open(os.devnull, "rb")  # noqa: PTH123 - no path of the user's
    held: BinaryIO = os.fdopen(os.memfd_create("stdin"), "w+b") if sys.platform == "linux" else tempfile.TemporaryFile()  # noqa: SIM115
    held.write(text)
    held.seek(0)
    return held


def _spec(launch: Launch) -> bytes:
    fields = (*launch.argv, launch.cwd or "", *(f"{name}={text}" for name, text in launch.env.items()))
    if any("\0" in field for field in fields):
        raise ValueError(f"the command {launch.argv[0]!r} holds the character NUL, in what the operator wrote")
    return "".join(f"{field}\0" for field in fields).encode(errors="surrogateescape")


def _numbers(launch: Launch, descriptor: int, length: int) -> tuple[str, ...]:
    limits = (launch.cpu_time or 0, launch.memory or 0, launch.processes or 0)
    return tuple(map(str, (descriptor, length, len(launch.argv), launch.grace, *limits)))


def _loading() -> dict[str, str]:
    """What the interpreter itself may need to start; the command gets its own environment."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}


async def _report(lifeline: socket.socket) -> dict[str, str]:
    """What the supervisor has told when it is gone: the rest of each line by its first word."""
    told = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.get_running_loop().sock_recv(lifeline, 4096):
            told += part
    return dict(line.split(" ", 1) for line in told.decode().splitlines())


def _outcome(report: dict[str, str], stdout: Kept, stderr: Kept) -> Outcome:
    stage, _, number = report.get("failed", "").partition(" ")
    return Outcome(
        stdout,
        stderr,
        return_code=int(report["ended"]) if "ended" in report else None,
        failure=(stage, int(number)) if stage else None,
        left=tuple(map(int, report.get("left", "").split())),
    )


def _bury(group: int) -> None:
    """End the command's own process group, whose supervisor was killed from outside."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
