"""A body that becomes a file under the operator's folder."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from hashlib import sha256
from secrets import token_hex
from threading import Lock
from typing import Any

import httpx

from apflow_hookspecs import Json, TaskFailed

PART = 1 << 18
"""Bytes that are written at once."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DESCRIPTORS = "/proc/self/fd"
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
"""How a file system says that it does not know O_TMPFILE (open(2))."""


async def save(response: httpx.Response, root: str, path: str) -> dict[str, Json]:
    """Write a body into a file, which takes its place when it is whole.

    Returns:
        Path, size in bytes, and SHA-256.

    Raises:
        TaskFailed: The path leads through what is no folder, to what is no file, or cannot be written to.
    """
    file = NewFile(root, path)
    try:
        await _in_thread(path, file.begin)
        async for part in response.aiter_bytes(PART):
            await _in_thread(path, file.write, part)
        await _in_thread(path, file.finish)
    finally:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, file.close))
    return {"path": path, "size": file.size, "sha256": file.digest.hexdigest()}


async def _in_thread(path: str, step: Callable[..., None], *arguments: Any) -> None:
    try:
        await asyncio.to_thread(step, *arguments)
    except OSError as error:
        raise TaskFailed(f"save_to = {path!r}: {error.strerror or 'it cannot be written'}") from error


class NewFile:
    """A file that comes to be under a folder.

    Every folder on the way is opened in the one above, and none through a symbolic link, so that no change of the folders
    meanwhile leads elsewhere. The methods block, and take turns: one that was given up may still run in its thread when
    `close` is called; after that they do nothing.

    Args:
        root: The folder.
        path: Names below it, checked.

    Attributes:
        size: Bytes so far.
        digest: SHA-256 so far.
    """

    def __init__(self, root: str, path: str) -> None:
        self.size = 0
        self.digest = sha256()
        self._root = root
        *self._folders, self._name = path.split("/")
        self._partial = f".{token_hex(8)}.part"
        self._folder = self._file = -1
        self._unnamed = False
        self._cleaning = ExitStack()
        self._lock = Lock()
        self._closed = False

    def begin(self) -> None:
        """Create it in the folder of its place, with the folders that lead there; without a name where that can be."""
        with self._lock:
            if self._closed:
                return
            self._reach_folder()
            self._check_place()
            unnamed = _open_unnamed(self._folder)
            self._file = self._kept(self._open_named() if unnamed is None else unnamed)
            self._unnamed = unnamed is not None

    def write(self, data: bytes) -> None:
        """Add to it."""
        with self._lock:
            rest = memoryview(data)
            while rest and not self._closed:
                rest = rest[os.write(self._file, rest) :]
            self.digest.update(data)
            self.size += len(data)

    def finish(self) -> None:
        """Move it to its place."""
        with self._lock:
            if not self._closed:
                os.fsync(self._file)
                if self._unnamed:
                    self._name_it()
                os.rename(self._partial, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def close(self) -> None:
        """Let it go; of one that was not finished nothing is left."""
        with self._lock:
            self._closed = True
            self._cleaning.close()

    def _open_named(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._partial, flags, 0o600, dir_fd=self._folder)
        self._clean_partial()
        return descriptor

    def _name_it(self) -> None:
        """Give it the name from which it is moved to its place: a link replaces nothing."""
        try:
            self._link()
        except FileNotFoundError:  # the folder looked empty to another request, which had made it and failed
            self._reach_folder()
            self._link()
        self._clean_partial()

    def _link(self) -> None:
        os.link(f"{_DESCRIPTORS}/{self._file}", self._partial, dst_dir_fd=self._folder, follow_symlinks=True)

    def _clean_partial(self) -> None:
        self._cleaning.callback(_attempt, os.unlink, self._partial, self._folder)

    def _kept(self, descriptor: int) -> int:
        self._cleaning.callback(os.close, descriptor)
        return descriptor

    def _reach_folder(self) -> None:
        self._folder = self._kept(os.open(self._root, _FOLDER))
        for name in self._folders:
            self._descend(name)

    def _descend(self, name: str) -> None:
        above = self._folder
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
            self._cleaning.callback(_attempt, os.rmdir, name, above)  # which leaves a folder that something is in
        try:
            self._folder = self._kept(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above))
        except NotADirectoryError:
            raise TaskFailed(f"save_to leads through {name!r}, which is no folder", error="denied") from None

    def _check_place(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(self._name, dir_fd=self._folder, follow_symlinks=False).st_mode):
                raise TaskFailed(f"save_to names {self._name!r}, which is there and no plain file", error="denied")


def _open_unnamed(folder: int) -> int | None:
    """A file in a folder that vanishes with the process, until it is linked; None where system or file system has none."""
    kind = getattr(os, "O_TMPFILE", None)
    if kind is None or not os.path.isdir(_DESCRIPTORS):  # noqa: PTH112 - with the rest of os
        return None
    try:
        return os.open(".", os.O_WRONLY | os.O_CLOEXEC | kind, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def _attempt(remove: Callable[..., None], name: str, folder: int) -> None:
    with suppress(OSError):
        remove(name, dir_fd=folder)
