"""What is done with a file as a whole: opening, checking and describing it."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from apflow_hookspecs import Json, errors
from apflow_sqlite import schema, sql
from apflow_sqlite.connection import connect

NEEDED = (3, 37, 0)
"""Strict tables."""
ADVISED = (3, 51, 3)
"""The WAL-reset bug is mended (https://www.sqlite.org/wal.html)."""

_CHECKED_UP_TO = 1 << 30

# The log is kept from growing beyond what a big batch needed; 64 MiB of pages make a wide tree's rows stay at hand.
_SETTINGS = ("journal_size_limit = 67108864", "cache_size = -65536", "temp_store = MEMORY")


def inspect(connection: sqlite3.Connection, path: Path, check: str) -> int:
    """Look a file through as the option `check` says, without changing it.

    Returns:
        The version of its schema.

    Raises:
        StorageBroken: It is another program's, newer, or damaged.
    """
    latest = len(schema.steps())
    schema.refuse_foreign(connection, path, latest)
    if check == "always" or (check == "auto" and path.stat().st_size < _CHECKED_UP_TO):
        schema.refuse_damaged(connection, path)
    found = schema.version(connection)
    if found == latest:
        schema.refuse_incomplete(connection, path)
    return found


def refuse_old_sqlite() -> None:
    """Raise unless SQLite knows what the schema needs.

    Raises:
        StorageBroken: It is too old.
    """
    if sqlite3.sqlite_version_info < NEEDED:
        raise errors.StorageBroken(
            f"SQLite {sqlite3.sqlite_version}: apflow-sqlite needs {'.'.join(map(str, NEEDED))} or newer; "
            "use a Python that was built with one"
        )


def connect_writing(path: Path, synchronous: str) -> sqlite3.Connection:
    """The connection that writes, with its settings."""
    with ExitStack() as failing:
        connection = failing.enter_context(closing(connect(path, "rw")))
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            rule = "has to lie on a local disk, where SQLite can keep a write-ahead log beside it"
            raise errors.StorageBroken(f"{path}: {rule}")
        for setting in (*_SETTINGS, f"synchronous = {synchronous}"):
            connection.execute(f"PRAGMA {setting}")
        failing.pop_all()
    return connection


def facts(connection: sqlite3.Connection, path: Path) -> dict[str, Json]:
    """Facts for people."""
    log = path.with_name(f"{path.name}-wal")
    return {
        "location": str(path),
        "schema": schema.version(connection),
        "size": path.stat().st_size + (log.stat().st_size if log.exists() else 0),
        "sqlite": sqlite3.sqlite_version,
        "warnings": warnings(),
        **{table: connection.execute(count).fetchone()[0] for table, count in sql.TABLES.items()},
    }


def warnings() -> list[Json]:
    """What is to be said of this SQLite."""
    if sqlite3.sqlite_version_info >= ADVISED:
        return []
    advised = ".".join(map(str, ADVISED))
    fault = f"is older than {advised} and can damage a file that two connections write at the same instant"
    advice = "apflow writes through one alone: let no other program write to the file"
    return [f"SQLite {sqlite3.sqlite_version} {fault}; {advice}"]


def findings(connection: sqlite3.Connection) -> list[str]:
    """What is wrong: with the file, and, where it holds together, between its rows."""
    try:
        broken = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        counts = {} if broken else {text: connection.execute(check).fetchone()[0] for text, check in sql.CHECKS.items()}
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return broken + [f"{count} {text}" for text, count in counts.items() if count]
