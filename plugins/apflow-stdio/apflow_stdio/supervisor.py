"""A program of its own: it runs one command, and lets none of its processes outlive the lifeline.

    python supervisor.py LIFELINE LENGTH ARGC GRACE CPU_TIME MEMORY PROCESSES

LIFELINE is a socket from which LENGTH bytes are read: ARGC arguments, the folder and the environment, each ended by NUL. When
its other end closes, because the task was cancelled or because apflow is gone, the command ends; limits of 0 are none.
Lines go back: `started PID`, `failed STAGE ERRNO`, `ended CODE` (negative: by that signal), `left PID …`.

Why a process between: code between fork and exec of a program with threads (`preexec_fn`) may deadlock, and a process group
alone loses whoever leaves it. This one has a single thread, and as "child subreaper" (prctl(2)) inherits each orphan among the
command's descendants, so that it has no children left exactly when they are all gone. Where there is no prctl, the command's
process group is what is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
PATIENCE = 5.0
"""Seconds after which a process that SIGKILL does not end is left, and told."""
PAUSE = 0.05
"""Seconds between two looks for processes that have to be ended."""


class Command:
    """What is to be run, and how a child becomes it."""

    def __init__(self, fields: list[bytes], argc: int, limits: dict[int, int]) -> None:
        self.argv = fields[:argc]
        self.folder = fields[argc]
        self.env = dict(entry.split(b"=", 1) for entry in fields[argc + 1 :])
        self.limits = limits

    def become(self, parent: int, tells: int) -> None:
        """In the child: become the command, or tell why not and exit."""
        stage = b"limits"
        try:
            os.setsid()
            prctl(SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                return
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would hand that on.
                signal.signal(number, signal.SIG_DFL)
            for kind, limit in self.limits.items():
                limit_to(kind, limit)
            stage = b"folder"
            if self.folder:
                os.chdir(self.folder)
            stage = b"program"
            os.execvpe(self.argv[0], self.argv, self.env)  # noqa: S606 - without a shell is the point
        except OSError as error:
            os.write(tells, b"%s %d" % (stage, error.errno or 0))
        finally:
            os._exit(127)


class Supervisor:
    """Starts the command, waits for it and for the lifeline, and ends what is left."""

    def __init__(self, lifeline: int) -> None:
        self.lifeline = lifeline
        self.cut = False
        self.parent = os.getppid()
        self.child = 0
        self.code: int | None = None
        self.adopts = prctl(SET_CHILD_SUBREAPER, 1)
        self.woken, wakes = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        # Handlers rather than SIG_IGN: exec resets them. Who stops apflow may signal this process too, and ends it too early.
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self.poll = select.poll()
        self.poll.register(self.woken, select.POLLIN)
        self.poll.register(lifeline, select.POLLIN)

    def start(self, command: Command) -> bool:
        """Start the command; whether it could be."""
        told, tells = os.pipe()
        parent = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            command.become(parent, tells)
        os.close(tells)
        with open(told, "rb") as failure:  # noqa: PTH123 - a descriptor
            failed = failure.read()
        self.tell(b"failed " + failed if failed else b"started %d" % self.child)
        return not failed

    def serve(self, grace: float) -> None:
        """Wait until the command has ended or the lifeline is cut; then end what is left."""
        while self.reap() and self.code is None and not self.cut:
            self.wait(None)
        self.end(signal.SIGTERM, grace)
        self.end(signal.SIGKILL, PATIENCE)
        if self.alive():
            self.tell(b"left " + b" ".join(b"%d" % group for group in self.groups()))
        if self.code is not None:
            self.tell(b"ended %d" % self.code)

    def end(self, number: int, patience: float) -> None:
        """Send a signal to every process group below, also to those that appear meanwhile, until all are gone.

        Where apflow is gone there is no grace: its task may be run again at once.
        """
        limit = time.monotonic() + patience
        told: set[int] = set()
        while self.alive() and (rest := limit - time.monotonic()) > 0:
            if number == signal.SIGTERM and os.getppid() != self.parent:
                return
            groups = self.groups()
            for group in groups if number == signal.SIGKILL else groups - told:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
                    os.killpg(group, signal.SIGCONT)
            told |= groups
            self.wait(min(rest, PAUSE))

    def wait(self, seconds: float | None) -> None:
        """Wait for a child that ends or for the lifeline, at most so long."""
        for descriptor, _ in self.poll.poll(None if seconds is None else seconds * 1000):
            if descriptor == self.lifeline:
                self.cut = True
                self.poll.unregister(self.lifeline)
            else:
                os.read(self.woken, 512)

    def alive(self) -> bool:
        """Whether any process is left."""
        if self.reap():
            return True
        if self.adopts:
            return False
        try:
            os.killpg(self.child, 0)
        except ProcessLookupError:
            return False
        return True

    def reap(self) -> bool:
        """Take in the children that have ended; whether any is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.code = os.waitstatus_to_exitcode(status)

    def groups(self) -> set[int]:
        """The process groups of all descendants."""
        if not self.adopts:
            return {self.child}
        below, groups = {os.getpid()}, set[int]()
        table = sorted(processes())
        grown = True
        while grown:
            found = [(pid, group) for pid, parent, group in table if parent in below and pid not in below]
            below.update(pid for pid, _ in found)
            groups.update(group for _, group in found)
            grown = bool(found)
        return groups - {os.getpgrp()}

    def tell(self, line: bytes) -> None:
        """Tell apflow, where it is still there."""
        with contextlib.suppress(OSError):
            os.write(self.lifeline, line + b"\n")


def limit_to(kind: int, limit: int) -> None:
    """Lower a limit of this process; a lower one stays."""
    _, hard = resource.getrlimit(kind)
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    # Of processor time the softer limit is told by a signal of its own, the harder one by SIGKILL.
    room = kind == resource.RLIMIT_CPU and soft != hard
    resource.setrlimit(kind, (soft, soft + room))


def prctl(option: int, value: int) -> bool:
    """Set an option of this process; False where the system has no such call."""
    return sys.platform == "linux" and not ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def processes() -> list[tuple[int, int, int]]:
    """Pid, parent and process group of every process that has not ended, as /proc tells them (proc(5))."""
    table = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib takes long to load
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123 - likewise
                state, parent, group = stat.read().rpartition(b")")[2].split()[:3]
                if state not in b"ZX":
                    table.append((int(name), int(parent), int(group)))
    return table


def read(descriptor: int, length: int) -> bytes | None:
    """Exactly so many bytes, or None when the other end closed before."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(descriptor, length - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def main() -> None:
    """Run the command that the lifeline brings."""
    lifeline, length, argc = map(int, sys.argv[1:4])
    cpu_time, memory, count = map(int, sys.argv[5:8])
    os.set_inheritable(lifeline, False)  # noqa: FBT003 - its only parameter
    brought = read(lifeline, length)
    if brought is None:
        return
    *fields, _ = brought.split(b"\0")
    data = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    wanted = {resource.RLIMIT_CPU: cpu_time, data: memory, resource.RLIMIT_NPROC: count}
    supervisor = Supervisor(lifeline)
    limits = {resource.RLIMIT_CORE: 0, **{kind: limit for kind, limit in wanted.items() if limit}}
    started = supervisor.start(Command(fields, argc, limits))
    # Its own copies of the command's streams would keep them open.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    if started:
        supervisor.serve(float(sys.argv[4]))


if __name__ == "__main__":
    main()
