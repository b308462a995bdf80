"""The schema and its steps: numbered `.sql` files, each of which is one transaction that also raises the file's version."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from attrs import frozen

from apflow_hookspecs import errors
from apflow_sqlite.failures import damaged

APPLICATION_ID = 0x61706677
"""`apfw` in the file's header, by which a file is known to be ours (https://www.sqlite.org/fileformat.html#application_id)."""


TABLES = frozenset({"attempts", "deleted_tasks", "events", "records", "tasks", "trees"})


@frozen
class Step:
    """One step: its number, from 1 without gaps, is the version that it leads to."""

    number: int
    name: str
    sql: str


@cache
def steps() -> tuple[Step, ...]:
    """All steps, in order."""
    folder = resources.files("apflow_sqlite").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple(
        Step(int(file.name.partition("_")[0]), file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files
    )


def version(connection: sqlite3.Connection) -> int:
    """The number of the last step taken; 0 in an empty file."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def refuse_foreign(connection: sqlite3.Connection, path: Path, latest: int) -> None:
    """Raise unless the file is ours, or empty, and not from a newer version.

    Raises:
        StorageBroken: It is another program's, or newer.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and objects:
        raise errors.StorageBroken(f"{path}: is the database of another program, and was left as it is; name another file")
    if (found := version(connection)) > latest:
        raise errors.StorageBroken(
            f"{path}: has schema {found}, and this version of apflow-sqlite knows {latest}; "
            "install the newer version, or restore a copy made by this one"
        )


def refuse_incomplete(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless the tables of the latest schema are there.

    Raises:
        StorageBroken: One is missing.
    """
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := sorted(TABLES - there):
        raise damaged(path, f"no such table: {missing[0]}")


def refuse_outdated(connection: sqlite3.Connection, path: Path, latest: int) -> None:
    """Raise unless the file has the latest schema.

    Raises:
        StorageBroken: It has an older one, which reading alone cannot change.
    """
    if (found := version(connection)) < latest:
        raise errors.StorageBroken(
            f"{path}: has schema {found}, and {latest} is needed; `apflow db migrate` brings it up to date"
        )


def refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless SQLite's quick check finds nothing.

    Raises:
        StorageBroken: It found something; the message tells the first.
    """
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise damaged(path, " ".join(finding.split()))


def migrate(connection: sqlite3.Connection, taken: Sequence[Step]) -> list[str]:
    """Take the steps that the file lacks; the names of these."""
    missing = [step for step in taken if step.number > version(connection)]
    for step in missing:
        header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {step.number};"
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {step.sql}\n{header} COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return [step.name for step in missing]
