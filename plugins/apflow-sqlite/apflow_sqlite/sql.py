"""Every statement, but for the schema's steps. Values are parameters; what is filled in are names of this module."""

from __future__ import annotations

BEGIN = "BEGIN IMMEDIATE"

INSERT_TREE = """
INSERT INTO trees (
    id, root, user_id, origin, context_id, status, status_at, run,
    requested_at, created_at, archived_at, last_event, owner, token
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_NEW_TASK = """
INSERT INTO tasks (row, id, key, name, parent, executor, original_task_id, spec) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_TASK = """
INSERT INTO tasks (
    row, id, key, name, parent, executor, original_task_id, spec,
    status, run, attempt, recoveries, progress, started_at, completed_at, changed_at, wait, error, result
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
TAKEN = "SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?))"

# The check of the token and the update of the counter in one.
ENTER = "UPDATE trees SET last_event = max(last_event, ?) WHERE id = ? AND token = ? RETURNING number"
OWNED = "SELECT number FROM trees WHERE id = ? AND token = ?"
ACQUIRE = "UPDATE trees SET token = ?, owner = ? WHERE id = ?"
RELEASE = "UPDATE trees SET token = '', owner = NULL WHERE id = ? AND token = ?"

# An attempt that comes back from a wait goes on.
_GOES_ON = "(:expected = 2 AND attempt = :attempt)"
MOVE = f"""
UPDATE tasks SET
    status = :status, run = :run, changed_at = :at, attempt = :attempt, recoveries = :recoveries,
    result = :result, error = :error, wait = :wait,
    started_at = CASE :status WHEN 0 THEN iif({_GOES_ON}, started_at, NULL) WHEN 1 THEN :at ELSE started_at END,
    completed_at = CASE WHEN :status > 2 THEN :at WHEN :status = 0 THEN NULL ELSE completed_at END,
    progress = CASE :status WHEN 0 THEN iif({_GOES_ON}, progress, 0.0) WHEN 3 THEN 1.0 ELSE progress END,
    resolved = CASE :status WHEN 0 THEN NULL ELSE resolved END
WHERE row = :row AND status = :expected
"""  # noqa: S608 - of constants
CLAIM = "UPDATE tasks SET status = 1, attempt = ?, started_at = ifnull(started_at, ?), run = ? WHERE row = ? AND status = 0"
COMPLETE = """
UPDATE tasks SET status = 3, progress = 1.0, completed_at = ?, result = ?, wait = NULL WHERE row = ? AND status = 1
"""
UPDATE_TASK = {
    "name": "UPDATE tasks SET name = ? WHERE row = ?",
    "executor": "UPDATE tasks SET executor = ? WHERE row = ?",
    "spec": "UPDATE tasks SET spec = ? WHERE row = ?",
    "run": "UPDATE tasks SET run = ? WHERE row = ?",
    "progress": "UPDATE tasks SET progress = ? WHERE row = ?",
    "resolved": "UPDATE tasks SET resolved = ? WHERE row = ?",
    "updated_at": "UPDATE tasks SET changed_at = ? WHERE row = ?",
}
INSERT_ATTEMPT = """
INSERT INTO attempts (task, attempt, run, started_at, ended_at, outcome, inputs, result, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_EVENTS = "INSERT INTO events (row, run, body) VALUES (?, ?, ?)"
MOVE_TREE = "UPDATE trees SET status = ?, status_at = ? WHERE number = ?"
UPDATE_TREE = {
    "status": "UPDATE trees SET status = ? WHERE number = ?",
    "status_at": "UPDATE trees SET status_at = ? WHERE number = ?",
    "run": "UPDATE trees SET run = ? WHERE number = ?",
    "requested_at": "UPDATE trees SET requested_at = ? WHERE number = ?",
    "archived_at": "UPDATE trees SET archived_at = ? WHERE number = ?",
}

DELETE_TREE = (
    "DELETE FROM tasks WHERE row BETWEEN :first AND :last",
    "DELETE FROM deleted_tasks WHERE row BETWEEN :first AND :last",
    "DELETE FROM attempts WHERE task BETWEEN :first AND :last",
    "DELETE FROM events WHERE row BETWEEN :first AND :last",
    "DELETE FROM trees WHERE number = :number",
)
REMEMBER_TASK = "INSERT INTO deleted_tasks (row, id) SELECT row, id FROM tasks WHERE row = ?"
DELETE_TASK = "DELETE FROM tasks WHERE row = ?"
DELETE_ATTEMPTS = "DELETE FROM attempts WHERE task = ?"

EXPIRE_RECORDS = "DELETE FROM records WHERE expires_at < ?"
PUT_RECORD = """
INSERT INTO records (namespace, key, value, version, expires_at) VALUES (?, ?, ?, 1, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, version = version + 1, expires_at = excluded.expires_at
"""
NEW_RECORD = """
INSERT INTO records (namespace, key, value, version, expires_at) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING
"""
SWAP_RECORD = """
UPDATE records SET value = ?, version = version + 1, expires_at = ? WHERE namespace = ? AND key = ? AND version = ?
"""
DELETE_RECORD = "DELETE FROM records WHERE namespace = ? AND key = ?"
DELETE_RECORD_AT = "DELETE FROM records WHERE namespace = ? AND key = ? AND version = ?"
RECORD_VERSION = "SELECT version FROM records WHERE namespace = ? AND key = ?"
RECORD_IS_IN = "SELECT 1 FROM records WHERE namespace = ? AND key = ? AND value = ?"
RECORD = """
SELECT namespace, key, value, version, expires_at FROM records
WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at >= ?)
"""
RECORDS_FROM = """
SELECT namespace, key, value, version, expires_at FROM records
WHERE namespace = ? AND key >= ? AND (expires_at IS NULL OR expires_at >= ?) ORDER BY key
"""

_TREE = """
SELECT
    number, id, user_id, origin, context_id, status, status_at, run,
    requested_at, created_at, archived_at, last_event, owner, token
FROM trees
"""
_TASK = """
SELECT
    tasks.row, tasks.id, tasks.key, tasks.name, tasks.parent, tasks.executor, tasks.original_task_id, tasks.spec,
    tasks.status, tasks.run, tasks.attempt, tasks.recoveries, tasks.progress,
    tasks.started_at, tasks.completed_at, tasks.changed_at, tasks.wait, tasks.error, tasks.result
"""
TREE = f"{_TREE} WHERE id = ?"
TREES = f"{_TREE} WHERE number IN (SELECT value FROM json_each(?))"  # noqa: S608 - of constants
TREE_NUMBER = "SELECT number FROM trees WHERE id = ?"
TASK = f"{_TASK} FROM tasks WHERE id = ?"
TASKS_OF_TREE = f"{_TASK} FROM tasks WHERE row BETWEEN ? AND ? ORDER BY row"
CHILDREN = f"{_TASK} FROM tasks WHERE row BETWEEN ? AND ? AND parent = ? ORDER BY row"
TASK_ROW = "SELECT row FROM tasks WHERE id = ?"
NAMES = "SELECT row, id, coalesce(key, id) FROM tasks WHERE row IN (SELECT value FROM json_each(?))"
DELETED_IDS = "SELECT row, id FROM deleted_tasks WHERE row IN (SELECT value FROM json_each(?))"
KEY_AND_SPEC = "SELECT coalesce(key, id), spec FROM tasks WHERE row = ?"
NUMBER_AND_KEY = "SELECT row & 0xffffffff, coalesce(key, id) FROM tasks WHERE id = ?"
RESOLVED = "SELECT row & 0xffffffff, resolved FROM tasks WHERE row BETWEEN ? AND ? AND resolved IS NOT NULL"
EVENTS = "SELECT run, body FROM events WHERE row > ? AND row <= ? ORDER BY row"
ATTEMPTS = """
SELECT task, attempt, run, started_at, ended_at, outcome, inputs, result, error FROM attempts
WHERE task BETWEEN ? AND ? ORDER BY number
"""
EVENTS_ARE_IN = "SELECT 1 FROM events WHERE row = (SELECT number << 32 | ? FROM trees WHERE id = ?)"
OPEN_TREES = "SELECT id FROM trees WHERE status IN (1, 2) ORDER BY requested_at, number"

# The trees are the outer loop, newest first, and the tasks of each one range: no sorting, whatever is asked.
FIND = f"{_TASK} FROM trees CROSS JOIN tasks WHERE"
FIND_ROWS = """
tasks.row BETWEEN
    CASE trees.number WHEN :number THEN :after ELSE trees.number << 32 END AND trees.number << 32 | 0xffffffff
AND trees.number <= :number
"""
FIND_ROOTS = """
tasks.row = trees.number << 32 | trees.root
AND trees.number <= :number AND (trees.number < :number OR tasks.row >= :after)
"""
FIND_ORDER = "ORDER BY trees.number DESC, tasks.row LIMIT :limit"
COUNT = "FROM trees CROSS JOIN tasks WHERE tasks.row BETWEEN trees.number << 32 AND trees.number << 32 | 0xffffffff"
COUNT_ROOTS = "FROM trees JOIN tasks ON tasks.row = trees.number << 32 | trees.root WHERE true"
_CHANGED_AT = "max(trees.created_at, ifnull(tasks.started_at, 0), ifnull(tasks.completed_at, 0), ifnull(tasks.changed_at, 0))"
_ROOT_CHANGED_AT = f"max(trees.status_at, {_CHANGED_AT})"
FILTERS = {
    "user_id": "trees.user_id = :user_id",
    "context_id": "trees.context_id = :context_id",
    "name": "coalesce(tasks.name, tasks.key, tasks.id) = :name",
    "statuses": "tasks.status IN (SELECT value FROM json_each(:statuses))",
    "changed_since": f"{_CHANGED_AT} >= :changed_since",
    "unchanged_since": f"{_CHANGED_AT} < :unchanged_since",
}
ROOT_FILTERS = {
    **FILTERS,
    "statuses": "trees.status IN (SELECT value FROM json_each(:statuses))",
    "changed_since": f"{_ROOT_CHANGED_AT} >= :changed_since",
    "unchanged_since": f"{_ROOT_CHANGED_AT} < :unchanged_since",
}

TABLES = {
    "trees": "SELECT count(*) FROM trees",
    "tasks": "SELECT count(*) FROM tasks",
    "records": "SELECT count(*) FROM records",
}
CHECKS = {
    "tasks of no tree": "SELECT count(*) FROM tasks WHERE row >> 32 NOT IN (SELECT number FROM trees)",
    "events of no tree": "SELECT count(*) FROM events WHERE row >> 32 NOT IN (SELECT number FROM trees)",
    "attempts of no tree": "SELECT count(*) FROM attempts WHERE task >> 32 NOT IN (SELECT number FROM trees)",
    "trees without a root": """
        SELECT count(*) FROM trees
        WHERE id IS NOT (SELECT tasks.id FROM tasks WHERE tasks.row = trees.number << 32 | trees.root)
    """,
    "tasks whose parent is missing": """
        SELECT count(*) FROM tasks
        WHERE parent IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM tasks AS above WHERE above.row = tasks.row >> 32 << 32 | tasks.parent)
    """,
    "trees whose last event has another number than they say": """
        SELECT count(*) FROM trees
        WHERE last_event <> ifnull(
            (SELECT max(row) & 0xffffffff FROM events WHERE row BETWEEN number << 32 AND number << 32 | 0xffffffff), 0
        )
    """,
    "trees with a gap in their events": """
        SELECT count(*) FROM trees
        WHERE last_event <> (
            SELECT ifnull(sum(json_array_length(cast(body AS TEXT))), 0) FROM events
            WHERE row BETWEEN number << 32 AND number << 32 | 0xffffffff
        )
    """,
    "tasks in progress that never started": "SELECT count(*) FROM tasks WHERE status = 1 AND started_at IS NULL",
    "settled tasks without the instant": "SELECT count(*) FROM tasks WHERE status > 2 AND completed_at IS NULL",
}
