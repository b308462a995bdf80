"""The file behind a URL: where it is, how it comes into being, and who owns it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from apflow_hookspecs import errors

_PREFIX = "sqlite:///"
_READABLE = 4096


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


def refuse_other_kinds(path: Path) -> None:
    """Raise where there is a folder, a device or a pipe instead of a file.

    Raises:
        StorageBroken: There is.
    """
    if path.is_dir():
        raise errors.StorageBroken(f"{path}: is a folder; name a file")
    if path.exists() and not path.is_file():
        raise errors.StorageBroken(f"{path}: is neither a file nor missing; name a file")


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
    sync_folder(path.parent)


def refuse_unwritable(path: Path) -> None:
    """Raise where there is a file that this user may not write, before a lock is left beside it; SQLite would find it too late.

    Raises:
        OSError: There is.
    """
    # Not by opening it: to close it would end the locks of this process's connections.
    if path.exists() and not may_write(path):
        code = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code), str(path))


def may_write(path: Path) -> bool:
    """Whether this user may read and write a file or folder."""
    return os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def sync_folder(folder: Path) -> None:
    """Make a file's name survive a loss of power, like what stands in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_of(path: Path) -> Path:
    """The file whose lock says who owns another."""
    return path.with_name(f"{path.name}.lock")


class FileLock:
    """An exclusive lock on `<file>.lock`, which ends with the process; the lock file tells the owner's pid and socket.

    Raises:
        StorageOwned: Another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _give(self._descriptor, path)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.tell(None)
        except BlockingIOError:
            content = os.pread(self._descriptor, _READABLE, 0)
            self._close()
            raise _owned(path, content) from None
        except OSError:
            self._close()
            raise

    def tell(self, endpoint: str | None) -> None:
        """Let others know this process, and where it can be spoken to."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode() + os.fsencode(endpoint or ""), 0)

    def release(self) -> None:
        """Let another process have it. The lock file stays: removing it could take it from under a new owner."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def _give(descriptor: int, path: Path) -> None:
    """Where root looks after another user's file, the lock is that user's too, as the log is that SQLite makes."""
    if os.geteuid() == 0 and path.exists():
        found = path.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)


def _owned(path: Path, content: bytes) -> errors.StorageOwned:
    # An owner that has the lock since this instant may not have told yet.
    pid, _, endpoint = content.partition(b"\n")
    owner = int(pid) if pid.isdigit() else None
    return errors.StorageOwned(
        f"{path}: is in use by process {owner or 'unknown'}; end that process, or name another file",
        pid=owner,
        endpoint=os.fsdecode(endpoint) or None,
    )
