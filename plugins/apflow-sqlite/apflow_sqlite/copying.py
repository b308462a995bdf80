"""A copy of the database as it stands at one instant, at a pace that leaves the disk to those who write."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from urllib.parse import quote

from apflow_hookspecs import errors
from apflow_sqlite.failures import damaged, failure
from apflow_sqlite.files import sync_folder

_PAGES = 64
_PAUSE = 12
"""Times as long as a step took: a twelfth of a disk's time is less than those who write notice."""


def copy(connection: sqlite3.Connection, target: Path, stopped: Event) -> None:
    """Copy to a path where there is no file yet.

    Raises:
        StorageUnavailable: There is one, or it cannot be written.
    """
    if target.exists():
        raise errors.StorageUnavailable(f"{target}: is there already; name another file, or move this one away")
    replace(connection, target, stopped)


def replace(connection: sqlite3.Connection, target: Path, stopped: Event) -> None:
    """Copy to a path, over the file that is there; `target` appears when it is whole, and durable.

    When `stopped` is set, the copy is not wanted any more, and what there is of it is removed.

    Raises:
        StorageBroken: What is copied is damaged.
        StorageUnavailable: It cannot be written.
    """
    target = target.absolute()
    part = target.with_name(f"{target.name}.part")
    with _instant(connection) as source:
        try:
            _write(connection, part, stopped)
            _refuse_damaged(source, part)
            part.replace(target)
            sync_folder(target.parent)
        except (OSError, sqlite3.Error) as error:
            part.unlink(missing_ok=True)
            raise failure(target, error) from error
        except errors.StorageBroken:
            part.unlink()
            raise
        except _Stopped:
            part.unlink()


@contextmanager
def _instant(connection: sqlite3.Connection) -> Iterator[Path]:
    """A transaction in which every step sees the same instant, or each commit would make the copy begin anew; the file read."""
    source = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise failure(source, error) from error
    try:
        yield source
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _write(connection: sqlite3.Connection, part: Path, stopped: Event) -> None:
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as copied:
            # A part is thrown away where it is not finished, and synced when it is.
            copied.execute("PRAGMA journal_mode = OFF")
            copied.execute("PRAGMA synchronous = OFF")
            connection.backup(copied, pages=_PAGES, progress=_Pace(descriptor, stopped))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_damaged(source: Path, part: Path) -> None:
    with closing(sqlite3.connect(f"file:{quote(str(part))}?immutable=1", uri=True)) as copied:
        try:
            (finding,) = copied.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            finding = str(error)
    if finding != "ok":
        raise damaged(source, " ".join(finding.split()))


class _Stopped(Exception):
    """Nobody wants the copy any more."""


class _Pace:
    """Called after each step: lets the disk have what was copied, and pauses."""

    def __init__(self, descriptor: int, stopped: Event) -> None:
        self._descriptor = descriptor
        self._stopped = stopped
        self._since = time.monotonic()

    def __call__(self, _status: int, remaining: int, _total: int) -> None:
        os.fsync(self._descriptor)
        if remaining and self._stopped.wait(_PAUSE * (time.monotonic() - self._since)):
            raise _Stopped
        self._since = time.monotonic()
