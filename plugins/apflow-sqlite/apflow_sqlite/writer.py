"""The connection that writes, in its own thread: opened anew after an I/O error, and sure of what is in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

from attrs import frozen

from apflow_hookspecs import Batch, Committed
from apflow_sqlite import writing
from apflow_sqlite.evidence import CommitInDoubt, Evidence
from apflow_sqlite.failures import primary
from apflow_sqlite.watching import Watch

T = TypeVar("T")
P = ParamSpec("P")


@frozen
class _Doubt:
    """A batch of which it is not known whether it is in, and the trees that it was to insert, with their tokens."""

    batch: Batch
    evidence: Evidence
    trees: Mapping[str, str]


class Writer:
    """Writes, one call after the other.

    After an I/O error the connection is given up, and the next call opens another: what a failed fsync left unwritten the
    kernel counts as written, so that only new descriptors, and pages written anew, say the truth (https://lwn.net/Articles/752063/).

    Args:
        connect: Opens the connection.
        watch: Knows whether the file is still in its place.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], watch: Watch) -> None:
        self._connect = connect
        self._watch = watch
        self._doubt: _Doubt | None = None
        self._connection: sqlite3.Connection | None = connect()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, opened anew where it was given up."""
        if self._connection is None:
            self._watch.look_now()
            self._connection = self._connect()
        return self._connection

    def run(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call `function(connection, ...)`."""
        try:
            return function(self.connection, *args, **options)
        except sqlite3.Error as error:
            if primary(error) == sqlite3.SQLITE_IOERR:
                self.close()
            raise

    def commit(self, batch: Batch) -> Committed:
        """Write a batch whole, or tell what lost.

        Where its COMMIT fails and it is not known whether it is in, the file is asked when it can be read again: here, or when
        the batch is handed in again, of which the trees may be left out that are not wanted any more. A batch that never is
        has failed for good: the trees that it inserted are taken out again.

        Raises:
            StorageBroken: The file is gone, or another.
        """
        self._watch.look()
        if self._settled(batch):
            return Committed()
        try:
            return self.run(writing.commit, batch)
        except CommitInDoubt as doubt:
            self._doubt = _Doubt(batch, doubt.evidence, {tree.id: tree.token for tree in batch.trees})
            if not self._settled_at_once(batch):
                raise
            return Committed()

    def _settled_at_once(self, batch: Batch) -> bool:
        try:
            return self._settled(batch)
        except sqlite3.Error:
            return False

    def _settled(self, batch: Batch) -> bool:
        """Whether it was in doubt if this very batch is in, and it is."""
        doubt = self._doubt
        if doubt is None:
            return False
        known = doubt.batch is batch
        written = self.run(doubt.evidence.found)
        if written:
            self.run(_secure)
            wanted = {tree.id for tree in batch.trees} if known else set()
            unwanted = [(tree_id, token, None) for tree_id, token in doubt.trees.items() if tree_id not in wanted]
            if unwanted:
                self.run(writing.commit, Batch(deletes=[*unwanted]))
        self._doubt = None
        return known and written

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._watch.forget_log()
            with suppress(sqlite3.Error):
                connection.close()


def _secure(connection: sqlite3.Connection) -> None:
    """Copy what a log that was recovered holds into the file, for its own sync has failed."""
    busy, logged, copied = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    if busy or copied < logged:
        raise _busy()


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what is in the log cannot be copied while others read")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error
