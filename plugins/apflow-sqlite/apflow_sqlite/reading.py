"""What is read: each function is one read transaction in a reader's thread, and what it returns is the caller's own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any

from apflow_hookspecs import Attempt, Dependency, Event, Page, Record, Task, TaskQuery, TaskTree, errors
from apflow_sqlite import sql
from apflow_sqlite.rows import (
    CODES,
    NUMBERS,
    SHIFT,
    STATUSES,
    Names,
    Row,
    decode,
    decoded,
    encode,
    named_by,
    span,
    task_of,
    tree_of,
)

_NEWEST = (1 << 31) - 1


def tree(connection: sqlite3.Connection, tree_id: str) -> TaskTree | None:
    """A tree with all its tasks."""
    record = connection.execute(sql.TREE, (tree_id,)).fetchone()
    if record is None:
        return None
    rows = connection.execute(sql.TASKS_OF_TREE, span(record[0])).fetchall()
    names = {row[0]: Dependency(row[1], row[1] if row[2] is None else row[2]) for row in rows}
    found = tree_of(record)
    found.tasks = {task.key: task for task in (task_of(row, found, names) for row in rows)}
    return found


def task(connection: sqlite3.Connection, task_id: str) -> Task | None:
    """One task."""
    tasks, _ = _load(connection, connection.execute(sql.TASK, (task_id,)).fetchall())
    return tasks[0] if tasks else None


def existing(connection: sqlite3.Connection, task_ids: Sequence[str]) -> list[str]:
    """Those of some ids that stored tasks have."""
    found = {id for (id,) in connection.execute(sql.TAKEN, (encode(list(task_ids)).decode(),))}
    return [task_id for task_id in task_ids if task_id in found]


def children(connection: sqlite3.Connection, task_id: str) -> list[Task]:
    """The tasks directly under one."""
    found = connection.execute(sql.TASK_ROW, (task_id,)).fetchone()
    if found is None:
        return []
    rows = connection.execute(sql.CHILDREN, (*span(found[0] >> SHIFT), found[0] & NUMBERS)).fetchall()
    return list(_load(connection, rows)[0])


def find(connection: sqlite3.Connection, query: TaskQuery) -> Page:
    """A page of tasks."""
    number, after = _place(query.cursor)
    conditions, parameters = _conditions(query)
    limits = {
        "number": number,
        "after": (number << SHIFT | after) if query.cursor else number << SHIFT,
        "limit": query.limit + 1,
    }
    where = " AND ".join([sql.FIND_ROOTS if query.root_only else sql.FIND_ROWS, *conditions])
    rows = connection.execute(f"{sql.FIND} {where} {sql.FIND_ORDER}", {**parameters, **limits}).fetchall()
    page, more = rows[: query.limit], len(rows) > query.limit
    tasks, trees = _load(connection, page)
    cursor = f"{page[-1][0] >> SHIFT}.{page[-1][0] & NUMBERS}" if more and page else None
    return Page(tasks, {each.id: each for each in trees.values()}, cursor, sum(count(connection, query).values()))


def count(connection: sqlite3.Connection, query: TaskQuery) -> dict[str, int]:
    """How many tasks of each status there are."""
    conditions, parameters = _conditions(query)
    status, source = ("trees.status", sql.COUNT_ROOTS) if query.root_only else ("tasks.status", sql.COUNT)
    where = " AND ".join([source, *conditions])
    # The names are this module's and the conditions `sql`'s; what was asked for is in the parameters.
    rows = connection.execute(f"SELECT {status}, count(*) {where} GROUP BY 1", parameters)
    return {str(STATUSES[code]): number for code, number in rows}


def _place(cursor: str | None) -> tuple[int, int]:
    """The tree's number and the first task number of a page."""
    if cursor is None:
        return _NEWEST, 0
    number, _, n = cursor.partition(".")
    if not (number.isdecimal() and n.isdecimal() and int(number) <= _NEWEST and int(n) < NUMBERS):
        raise errors.InvalidParams(f"cursor = {errors.shortened(cursor)}: is not one that a listing handed out")
    return int(number), int(n) + 1


def _conditions(query: TaskQuery) -> tuple[list[str], dict[str, Any]]:
    filters = sql.ROOT_FILTERS if query.root_only else sql.FILTERS
    asked = {name: value for name in filters if (value := getattr(query, name)) is not None}
    conditions = [filters[name] for name in asked]
    if "statuses" in asked:
        asked["statuses"] = encode([CODES[status] for status in asked["statuses"] if status in CODES]).decode()
    return conditions, asked


def _load(connection: sqlite3.Connection, rows: list[Row]) -> tuple[tuple[Task, ...], dict[int, TaskTree]]:
    """The tasks of some rows, and their trees' records by number."""
    if not rows:
        return (), {}
    numbers = {row[0] >> SHIFT for row in rows}
    trees = {record[0]: tree_of(record) for record in connection.execute(sql.TREES, (_array(numbers),))}
    names = _names(connection, {place for row in rows for place in named_by(row)})
    return tuple(task_of(row, trees[row[0] >> SHIFT], names) for row in rows), trees


def _names(connection: sqlite3.Connection, places: Iterable[int]) -> Names:
    found = connection.execute(sql.NAMES, (_array(places),)) if places else ()
    return {place: Dependency(id, key) for place, id, key in found}


def _ids(connection: sqlite3.Connection, places: Iterable[int]) -> dict[int, str]:
    """Ids of tasks by row, those of deleted ones too."""
    rows = _array(places)
    ids = dict(connection.execute(sql.DELETED_IDS, (rows,)).fetchall())
    ids.update((place, id) for place, id, _ in connection.execute(sql.NAMES, (rows,)))
    return ids


def _array(numbers: Iterable[int]) -> str:
    return encode(list(numbers)).decode()


def _number(connection: sqlite3.Connection, tree_id: str) -> int | None:
    found = connection.execute(sql.TREE_NUMBER, (tree_id,)).fetchone()
    return None if found is None else int(found[0])


def open_trees(connection: sqlite3.Connection) -> list[str]:
    """Ids of the trees whose requested execution has not settled, oldest request first."""
    return [id for (id,) in connection.execute(sql.OPEN_TREES)]


def events(connection: sqlite3.Connection, tree_id: str, after: int, limit: int) -> list[Event]:
    """Events with a number above `after`."""
    number = _number(connection, tree_id)
    if number is None:
        return []
    first, last = span(number)
    chunks = connection.execute(sql.EVENTS, (first + min(after, NUMBERS), last))
    rows = list(islice(_unpacked(chunks, after), limit))
    ids = _ids(connection, {first | n for _, (_, _, n, *_) in rows if n is not None})
    return [_event(tree_id, run, row, ids.get(first | row[2]) if row[2] is not None else None) for run, row in rows]


def _unpacked(chunks: Iterable[tuple[int, bytes]], after: int) -> Iterator[tuple[int, list[Any]]]:
    for run, body in chunks:
        for row in decode(body):
            if row[0] > after:
                yield run, row


def _event(tree_id: str, run: int, row: list[Any], task_id: str | None) -> Event:
    seq, kind, _, status, at, attempt, actor, data = row
    return Event(seq, tree_id, run, task_id, kind, status, at, attempt, actor, data)


def attempts(connection: sqlite3.Connection, tree_id: str, n: int | None) -> list[Attempt]:
    """The attempts of a task, or of a tree, oldest first."""
    number = _number(connection, tree_id)
    if number is None:
        return []
    first, last = span(number) if n is None else (number << SHIFT | n,) * 2
    rows = connection.execute(sql.ATTEMPTS, (first, last)).fetchall()
    ids = _ids(connection, {row[0] for row in rows})
    return [_attempt(row, ids[row[0]]) for row in rows]


def _attempt(row: Row, task_id: str) -> Attempt:
    _, attempt, run, started, ended, outcome, *documents = row
    return Attempt(task_id, attempt, run, started, ended, outcome, *map(decoded, documents))


def resolved(connection: sqlite3.Connection, tree_id: str) -> dict[int, bytes]:
    """The resolved inputs of the current attempts of a tree's tasks, by number, where a hook changed them."""
    number = _number(connection, tree_id)
    return {} if number is None else dict(connection.execute(sql.RESOLVED, span(number)).fetchall())


def record(connection: sqlite3.Connection, namespace: str, key: str) -> Record | None:
    """One record that has not expired."""
    found = connection.execute(sql.RECORD, (namespace, key, _now())).fetchone()
    return None if found is None else Record(*found)


def records(connection: sqlite3.Connection, namespace: str, prefix: str) -> list[Record]:
    """The records of a namespace whose key starts with `prefix`, by key."""
    rows = connection.execute(sql.RECORDS_FROM, (namespace, prefix, _now()))
    return [Record(*row) for row in takewhile(lambda row: row[1].startswith(prefix), rows)]


def _now() -> int:
    return time.time_ns() // 1000
