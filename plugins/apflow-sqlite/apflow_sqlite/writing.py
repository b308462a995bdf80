"""A batch as one transaction: counted as a whole, and taken apart only when a count is wrong."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from apflow_hookspecs import Batch, Change, Committed, Dependency, RecordWrite, TaskTree
from apflow_sqlite import sql
from apflow_sqlite.evidence import CommitInDoubt, Evidence, evidence_of
from apflow_sqlite.failures import primary
from apflow_sqlite.rows import CODES, SHIFT, SPEC, edge, encode, merge, span, task_rows, tree_row

_WRITTEN = Committed()
Changes = Sequence[tuple[int, Change]]
"""(tree number, change)."""


def commit(connection: sqlite3.Connection, batch: Batch) -> Committed:
    """Write a batch whole, or tell what lost.

    Raises:
        CommitInDoubt: COMMIT failed with an I/O error; the connection is of no further use.
    """
    evidence = refused = None
    connection.execute(sql.BEGIN)
    try:
        if _written(connection, batch):
            evidence = evidence_of(connection, batch)
    except sqlite3.IntegrityError as error:
        refused = error
    except BaseException:
        _roll_back(connection)
        raise
    if evidence is not None:
        _end(connection, evidence)
        return _WRITTEN
    _roll_back(connection)
    losers = _losers(connection, batch)
    if losers and refused is not None:
        raise refused
    return losers


def _end(connection: sqlite3.Connection, evidence: Evidence) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if primary(error) == sqlite3.SQLITE_IOERR:
            raise CommitInDoubt(error, evidence) from None
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    # After some errors, a full disk among them, SQLite has done so itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _written(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Write it all; whether every row that was to change did."""
    if batch.records:
        expire_records(connection)
        if not all(_write_record(connection, record) for record in batch.records):
            return False
    for tree in batch.trees:
        _insert(connection, tree)
    changes = _enter(connection, batch.changes)
    if len(changes) < len(batch.changes) or not _change_tasks(connection, changes):
        return False
    _add_history(connection, changes)
    _change_trees(connection, changes)
    return all(_delete(connection, *delete) for delete in batch.deletes)


def _insert(connection: sqlite3.Connection, tree: TaskTree) -> None:
    number = cast("int", connection.execute(sql.INSERT_TREE, tree_row(tree)).lastrowid)
    inserted = connection.executemany(sql.INSERT_NEW_TASK, task_rows(tree, number, new=True)).rowcount
    if inserted < len(tree):
        connection.executemany(sql.INSERT_TASK, task_rows(tree, number, new=False))


def _enter(connection: sqlite3.Connection, changes: Mapping[str, Change]) -> Changes:
    """The changes whose token is their tree's, by the tree's number."""
    entered = []
    for tree_id, change in changes.items():
        last = change.events[-1][0] if change.events else 0
        if found := connection.execute(sql.ENTER, (last, tree_id, change.token)).fetchall():
            entered.append((found[0][0], change))
    return entered


def _all(connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[Any] | dict[str, Any]], expected: int) -> bool:
    """Execute for each row; whether every one changed something."""
    return connection.executemany(statement, rows).rowcount == expected


def _change_tasks(connection: sqlite3.Connection, changes: Changes) -> bool:
    moves = claims = completions = 0
    for _, change in changes:
        moves += len(change.moves)
        claims += len(change.claims)
        completions += len(change.completions)
    return (
        (not moves or _all(connection, sql.MOVE, _move_rows(changes), moves))
        and all(_update(connection, number, n, fields) for number, change in changes for n, fields in change.updates)
        and (not claims or _all(connection, sql.CLAIM, _claim_rows(changes), claims))
        and (not completions or _all(connection, sql.COMPLETE, _completion_rows(changes), completions))
    )


def _move_rows(changes: Changes) -> Iterator[dict[str, Any]]:
    for number, change in changes:
        base, run = number << SHIFT, change.run
        for n, expected, status, at, attempt, recoveries, result, error, wait in change.moves:
            yield {
                "row": base | n,
                "expected": CODES[expected],
                "status": CODES[status],
                "run": run,
                "at": at,
                "attempt": attempt,
                "recoveries": recoveries,
                "result": result,
                "error": error,
                "wait": wait,
            }


def _claim_rows(changes: Changes) -> Iterator[tuple[Any, ...]]:
    for number, change in changes:
        base, run = number << SHIFT, change.run
        for n, attempt, at in change.claims:
            yield attempt, at, run, base | n


def _completion_rows(changes: Changes) -> Iterator[tuple[Any, ...]]:
    for number, change in changes:
        base = number << SHIFT
        for n, at, result in change.completions:
            yield at, result, base | n


def _update(connection: sqlite3.Connection, number: int, n: int, fields: Mapping[str, Any]) -> bool:
    """Set fields of one task; whether it is there."""
    row = number << SHIFT | n
    columns = {name: value for name, value in fields.items() if name not in SPEC}
    if len(columns) < len(fields) or "name" in columns:
        found = connection.execute(sql.KEY_AND_SPEC, (row,)).fetchone()
        if found is None:
            return False
        key, spec = found
        if len(columns) < len(fields):
            columns["spec"] = merge(spec, _spec_fields(connection, fields))
        if columns.get("name") == key:
            columns["name"] = None
    return all(connection.execute(sql.UPDATE_TASK[name], (value, row)).rowcount == 1 for name, value in columns.items())


def _spec_fields(connection: sqlite3.Connection, fields: Mapping[str, Any]) -> dict[str, Any]:
    spec = {name: value for name, value in fields.items() if name in SPEC}
    if "dependencies" in spec:
        spec["dependencies"] = [_edge(connection, each) for each in spec["dependencies"]]
    return spec


def _edge(connection: sqlite3.Connection, dependency: Dependency) -> int | list[Any]:
    n, key = connection.execute(sql.NUMBER_AND_KEY, (dependency.task_id,)).fetchone()
    return edge(dependency, n, key)


def _add_history(connection: sqlite3.Connection, changes: Changes) -> None:
    attempts = [(number << SHIFT | n, *rest) for number, change in changes for n, *rest in change.attempts]
    events = [
        (number << SHIFT | change.events[-1][0], change.run, encode(change.events))
        for number, change in changes
        if change.events
    ]
    if attempts:
        connection.executemany(sql.INSERT_ATTEMPT, attempts)
    if events:
        connection.executemany(sql.INSERT_EVENTS, events)


def _change_trees(connection: sqlite3.Connection, changes: Changes) -> None:
    moved = []
    for number, change in changes:
        if change.tree.keys() == {"status", "status_at"}:
            moved.append((CODES[change.tree["status"]], change.tree["status_at"], number))
        else:
            for name, value in change.tree.items():
                connection.execute(sql.UPDATE_TREE[name], (CODES[value] if name == "status" else value, number))
    if moved:
        connection.executemany(sql.MOVE_TREE, moved)


def _delete(connection: sqlite3.Connection, tree_id: str, token: str, numbers: Sequence[int] | None) -> bool:
    owned = connection.execute(sql.OWNED, (tree_id, token)).fetchone()
    if owned is None:
        return False
    number = owned[0]
    if numbers is None:
        first, last = span(number)
        for statement in sql.DELETE_TREE:
            connection.execute(statement, {"number": number, "first": first, "last": last})
        return True
    rows = [(number << SHIFT | n,) for n in set(numbers)]
    connection.executemany(sql.REMEMBER_TASK, rows)
    connection.executemany(sql.DELETE_ATTEMPTS, rows)
    return _all(connection, sql.DELETE_TASK, rows, len(rows))


def expire_records(connection: sqlite3.Connection) -> None:
    """Drop the records whose time is over."""
    connection.execute(sql.EXPIRE_RECORDS, (time.time_ns() // 1000,))


def _write_record(connection: sqlite3.Connection, write: RecordWrite) -> bool:
    """Write one record; whether it was at the expected version."""
    place = (write.namespace, write.key)
    if write.value is None:
        return _delete_record(connection, place, write.expected)
    if write.expected is None:
        connection.execute(sql.PUT_RECORD, (*place, write.value, write.expires_at))
        return True
    if write.expected == 0:
        return connection.execute(sql.NEW_RECORD, (*place, write.value, write.expires_at)).rowcount == 1
    return connection.execute(sql.SWAP_RECORD, (write.value, write.expires_at, *place, write.expected)).rowcount == 1


def _delete_record(connection: sqlite3.Connection, place: tuple[str, str], expected: int | None) -> bool:
    if expected == 0:
        return connection.execute(sql.RECORD_VERSION, place).fetchone() is None
    if expected is None:
        connection.execute(sql.DELETE_RECORD, place)
        return True
    return connection.execute(sql.DELETE_RECORD_AT, (*place, expected)).rowcount == 1


def _losers(connection: sqlite3.Connection, batch: Batch) -> Committed:
    """What of a batch loses: each part is tried for itself, and in the end nothing is kept."""
    connection.execute(sql.BEGIN)
    try:
        stale = _stale(connection, batch.records)
        taken = _taken(connection, batch.trees)
        lost = [
            tree_id
            for tree_id, change in batch.changes.items()
            if tree_id not in taken and not _tried(connection, Batch(changes={tree_id: change}))
        ]
        lost += [
            delete[0]
            for delete in batch.deletes
            if delete[0] not in {*taken, *lost} and not _tried(connection, Batch(deletes=[delete]))
        ]
        return Committed(tuple(dict.fromkeys(lost)), taken, stale)
    finally:
        _roll_back(connection)


def _stale(connection: sqlite3.Connection, writes: Iterable[RecordWrite]) -> tuple[tuple[str, str], ...]:
    expire_records(connection)
    return tuple((write.namespace, write.key) for write in writes if not _write_record(connection, write))


def _taken(connection: sqlite3.Connection, trees: Iterable[TaskTree]) -> dict[str, tuple[str, ...]]:
    taken = {}
    for tree in trees:
        ids = encode([task.id for task in tree]).decode()
        found = {id for (id,) in connection.execute(sql.TAKEN, (ids,))}
        if found:
            taken[tree.id] = tuple(task.id for task in tree if task.id in found)
        else:
            _insert(connection, tree)
    return taken


def _tried(connection: sqlite3.Connection, part: Batch) -> bool:
    connection.execute("SAVEPOINT part")
    written = _written(connection, part)
    if not written:
        connection.execute("ROLLBACK TO part")
    connection.execute("RELEASE part")
    return written
