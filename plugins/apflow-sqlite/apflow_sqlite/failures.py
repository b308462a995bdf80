"""SQLite's and the system's errors in one line that names the file and says what to do.

`StorageUnavailable` is what may pass, so that whoever writes tries again; `StorageBroken` is what somebody has to mend.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from apflow_hookspecs import errors

_PRIMARY = 0xFF

_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and try again",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check it, and restore a copy if it lost something",
    sqlite3.SQLITE_READONLY: "cannot be written; make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; it has to exist, and this user may have to be allowed to write its folder",
    sqlite3.SQLITE_PERM: "may not be opened; make the file readable and writable for this user",
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program, or try again later",
    sqlite3.SQLITE_LOCKED: "is locked by another program; end that program, or try again later",
    sqlite3.SQLITE_PROTOCOL: "is locked by another program; end that program, or try again later",
}

_FULL = {sqlite3.SQLITE_IOERR_SHMSIZE}
"""The log's index is made longer before anything is written, and what fails then is an I/O error by name."""

_PASSING_SYSTEM = {
    errno.ENOSPC: _PASSING[sqlite3.SQLITE_FULL],
    errno.EDQUOT: _PASSING[sqlite3.SQLITE_FULL],
    errno.EIO: _PASSING[sqlite3.SQLITE_IOERR],
}


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html)."""
    return _extended(error) & _PRIMARY


def _extended(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code


def failure(path: Path, error: sqlite3.Error | OSError) -> errors.StorageUnavailable:
    """What stands in the way of using the file: a `StorageBroken` unless it may pass."""
    return _of_system(path, error) if isinstance(error, OSError) else _of_sqlite(path, error)


def told(path: Path, error: Exception) -> Exception:
    """An error of a job as its caller gets it; a fault of ours stays what it is."""
    if isinstance(error, OSError | sqlite3.Error) and not isinstance(error, sqlite3.ProgrammingError):
        told = failure(path, error)
        told.__cause__ = error
        return told
    return error


def _of_system(path: Path, error: OSError) -> errors.StorageUnavailable:
    if error.errno in _PASSING_SYSTEM:
        return errors.StorageUnavailable(f"{path}: {_PASSING_SYSTEM[error.errno]} ({error.strerror})")
    advice = "make its folder readable and writable for this user, or name another file"
    return errors.StorageUnavailable(f"{path}: cannot be used ({error.strerror}: {error.filename or path}); {advice}")


def _of_sqlite(path: Path, error: sqlite3.Error) -> errors.StorageUnavailable:
    code = sqlite3.SQLITE_FULL if _extended(error) in _FULL else primary(error)
    if code in _PASSING:
        return errors.StorageUnavailable(f"{path}: {_PASSING[code]} ({error})")
    if code == sqlite3.SQLITE_NOTADB:
        return errors.StorageBroken(f"{path}: is not a SQLite database, and was left as it is; name another file")
    if code == sqlite3.SQLITE_CORRUPT or "no such table" in str(error) or "no such column" in str(error):
        return damaged(path, str(error))
    return errors.StorageBroken(f"{path}: SQLite failed: {error}")


def damaged(path: Path, finding: str) -> errors.StorageBroken:
    """The file does not hold together."""
    return errors.StorageBroken(f"{path}: is damaged ({finding}) and was left as it is; {_restoring(path)}")


def gone(path: Path, file: Path) -> errors.StorageBroken:
    """The file, its lock, or the log beside it was taken away from under its owner."""
    told = f"{file}: was moved, removed or replaced while it was in use, and nothing more is written"
    if file != path and file.suffix == ".lock":
        return errors.StorageBroken(f"{told}; another process may own {path} by now: end all that use it, and start again")
    return errors.StorageBroken(f"{told}; put it back, or {_restoring(path)}; then start again")


def _restoring(path: Path) -> str:
    # SQLite would write a log that is left into the copy.
    return f"move aside what there is of {path.name}, {path.name}-wal and {path.name}-shm and restore a copy: cp COPY {path}"
