"""The file behind a URL: where it is, how it comes into being, and who owns it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from apflow_hookspecs import errors

_PREFIX = "sqlite:///"
_READABLE = 64


def file_of(url: str) -> Path:
    """The absolute path, without symbolic links, behind `sqlite:///relative.db` or `sqlite:////absolute/path.db`.

    Raises:
        ConfigError: The URL has another form, or names no file.
    """
    path = url.removeprefix(_PREFIX)
    if path == url or not path or path.endswith("/") or "\0" in path:
        rule = "has to be sqlite:///relative.db or sqlite:////absolute/path.db"
        raise errors.ConfigError(f"db = {errors.shortened(url)}: {rule}")
    if path == ":memory:":
        raise errors.ConfigError(f"db = {url!r}: a database in memory has the URL memory:")
    return Path(path).resolve()


def create_folder(folder: Path) -> None:
    """Create a folder and those above it that are missing, for this user alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def create_file(path: Path) -> None:
    """Create a file for this user alone, unless it is there; SQLite gives the files beside it the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Its name has to survive a loss of power, like what will stand in it.
        os.fsync(folder)
    finally:
        os.close(folder)


class FileLock:
    """An exclusive lock on `<file>.lock`, which ends with the process; the lock file tells the owner's pid.

    Raises:
        StorageOwned: Another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, _READABLE, 0).decode("ascii", "replace").strip() or "unknown"
            self._close()
            raise errors.StorageOwned(f"{path}: is in use by process {owner}; end that process, or name another file") from None
        except OSError:
            self._close()
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it. The lock file stays: removing it could take it from under a new owner."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
