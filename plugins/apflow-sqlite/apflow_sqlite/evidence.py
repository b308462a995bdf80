"""How it is told whether a batch is in the file, where its COMMIT failed and may have been done all the same.

SQLite may have written the end of a transaction and failed after it, in the sync, say: whoever opens the file anew then finds
the transaction there. A row that only this batch can have made tells. Nearly every batch has one; the others leave a mark.
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from attrs import frozen

from apflow_hookspecs import Batch
from apflow_sqlite import sql

_MARK = ("apflow-sqlite", "last-batch")
"""Of a record."""


@frozen
class Evidence:
    """A select that finds a row just when the batch is in."""

    select: str
    parameters: tuple[Any, ...]

    def found(self, connection: sqlite3.Connection) -> bool:
        """Whether it is."""
        return connection.execute(self.select, self.parameters).fetchone() is not None


class CommitInDoubt(sqlite3.OperationalError):
    """COMMIT failed with an I/O error: the batch is in or not."""

    def __init__(self, error: sqlite3.Error, evidence: Evidence) -> None:
        super().__init__(str(error))
        self.sqlite_errorcode = error.sqlite_errorcode
        self.sqlite_errorname = error.sqlite_errorname
        self.evidence = evidence


def evidence_of(connection: sqlite3.Connection, batch: Batch) -> Evidence:
    """What will tell of a batch that is written, but for its COMMIT."""
    return _own_row(batch) or _mark(connection)


def _own_row(batch: Batch) -> Evidence | None:
    # What is deleted tells nothing, and a tree that is inserted less than a change: it may be withdrawn.
    if batch.deletes:
        return None
    inserted = {tree.id for tree in batch.trees} if batch.trees else ()
    for tree_id, change in batch.changes.items():
        if change.events and tree_id not in inserted:
            return Evidence(sql.EVENTS_ARE_IN, (change.events[-1][0], tree_id))
    return Evidence(sql.TREE_NUMBER, (batch.trees[0].id,)) if batch.trees else None


def _mark(connection: sqlite3.Connection) -> Evidence:
    value = b'"%s"' % secrets.token_hex(16).encode()
    connection.execute(sql.PUT_RECORD, (*_MARK, value, None))
    return Evidence(sql.RECORD_IS_IN, (*_MARK, value))
