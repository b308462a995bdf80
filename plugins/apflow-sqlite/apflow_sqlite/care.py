"""What is done with a file as a whole: opening, checking, describing and copying it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from apflow_hookspecs import Json, errors
from apflow_sqlite import schema, sql
from apflow_sqlite.failures import unavailable

_CHECKED_UP_TO = 1 << 30

# The log is kept from growing beyond what a big batch needed; 64 MiB of pages make a wide tree's rows stay at hand.
_SETTINGS = ("journal_size_limit = 67108864", "cache_size = -65536", "temp_store = MEMORY")


def inspect(connection: sqlite3.Connection, path: Path, check: str) -> None:
    """Raise unless the file can be used, having looked it through as the option `check` says; it is not changed.

    Raises:
        StorageUnavailable: It is another program's, newer, or damaged.
    """
    schema.refuse_foreign(connection, path, len(schema.steps()))
    if check == "always" or (check == "auto" and path.stat().st_size < _CHECKED_UP_TO):
        schema.refuse_damaged(connection, path)


def prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> list[str]:
    """Make the writing connection ready, and the schema up to date; the names of the steps taken."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        rule = "has to lie on a local disk, where SQLite can keep a write-ahead log beside it"
        raise errors.StorageUnavailable(f"{path}: {rule}")
    for setting in (*_SETTINGS, f"synchronous = {synchronous}"):
        connection.execute(f"PRAGMA {setting}")
    return schema.migrate(connection, schema.steps())


def facts(connection: sqlite3.Connection, path: Path) -> dict[str, Json]:
    """Facts for people."""
    log = path.with_name(f"{path.name}-wal")
    return {
        "location": str(path),
        "schema": schema.version(connection),
        "size": path.stat().st_size + (log.stat().st_size if log.exists() else 0),
        "sqlite": sqlite3.sqlite_version,
        **{table: connection.execute(count).fetchone()[0] for table, count in sql.TABLES.items()},
    }


def findings(connection: sqlite3.Connection) -> list[str]:
    """What is wrong: with the file, and, where it holds together, between its rows."""
    try:
        broken = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        counts = {} if broken else {text: connection.execute(check).fetchone()[0] for text, check in sql.CHECKS.items()}
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return broken + [f"{count} {text}" for text, count in counts.items() if count]


def copy(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the database as it stands in one step; `target` appears when it is whole.

    Raises:
        StorageUnavailable: It is there already, or cannot be written.
    """
    target = target.absolute()
    if target.exists():
        raise errors.StorageUnavailable(f"{target}: is there already; name another file, or move this one away")
    part = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(part)) as copied:
            connection.backup(copied)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise unavailable(target, error) from error
