"""SQLite's and the system's errors in one line that names the file and says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from apflow_hookspecs import errors

_PRIMARY = 0xFF

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and try again",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check it, and restore a copy if it lost something",
    sqlite3.SQLITE_READONLY: "cannot be written; make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; it has to exist, and this user may have to be allowed to write its folder",
    sqlite3.SQLITE_PERM: "may not be opened; make the file readable and writable for this user",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database, and was left as it is; name another file",
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program, or try again later",
    sqlite3.SQLITE_LOCKED: "is locked by another program; end that program, or try again later",
}


def damaged(path: Path, finding: str) -> errors.StorageUnavailable:
    """The file does not hold together."""
    return errors.StorageUnavailable(
        f"{path}: is damaged ({finding}) and was left as it is; "
        f"move it aside with its -wal and -shm files, then restore a copy: cp COPY {path}"
    )


def unavailable(path: Path, error: sqlite3.Error | OSError) -> errors.StorageUnavailable:
    """What stands in the way of using the file."""
    if isinstance(error, OSError):
        advice = "make its folder readable and writable for this user, or name another file"
        return errors.StorageUnavailable(f"{path}: cannot be used ({error.strerror}: {error.filename}); {advice}")
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, str(error))
    if code in _ADVICE:
        return errors.StorageUnavailable(f"{path}: {_ADVICE[code]} ({error})")
    return errors.StorageUnavailable(f"{path}: SQLite failed: {error}")
