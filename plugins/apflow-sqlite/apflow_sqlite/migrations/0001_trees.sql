-- Statuses: 0 pending, 1 in_progress, 2 waiting, 3 completed, 4 failed, 5 cancelled, 6 skipped (see the view `tree_tasks`).
-- Instants: microseconds since 1970 UTC. JSON: UTF-8 in blobs.

CREATE TABLE trees (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    root INTEGER NOT NULL, -- n of the root
    user_id TEXT,
    origin TEXT NOT NULL,
    context_id TEXT,
    status INTEGER NOT NULL,
    status_at INTEGER NOT NULL,
    run INTEGER NOT NULL,
    requested_at INTEGER,
    created_at INTEGER NOT NULL,
    archived_at INTEGER,
    last_event INTEGER NOT NULL,
    owner TEXT,
    token TEXT NOT NULL
) STRICT;

CREATE INDEX trees_of_user ON trees (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX trees_of_context ON trees (context_id) WHERE context_id IS NOT NULL;
CREATE INDEX trees_open ON trees (requested_at) WHERE requested_at IS NOT NULL AND status < 3;

-- row = tree number << 32 | n, so that a tree is one range and the engine's (tree, n) needs no index.
CREATE TABLE tasks (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT, -- null: the id
    name TEXT, -- null: the key
    parent INTEGER, -- n
    executor TEXT,
    original_task_id TEXT,
    spec BLOB, -- JSON of the author's other fields that differ from their defaults
    status INTEGER NOT NULL DEFAULT 0,
    run INTEGER NOT NULL DEFAULT 1,
    attempt INTEGER NOT NULL DEFAULT 0,
    recoveries INTEGER NOT NULL DEFAULT 0,
    progress REAL NOT NULL DEFAULT 0.0,
    started_at INTEGER,
    completed_at INTEGER,
    changed_at INTEGER, -- where it is later than the two above and the tree's created_at
    wait BLOB,
    error BLOB,
    resolved BLOB,
    result BLOB
) STRICT;

CREATE INDEX tasks_copied ON tasks (original_task_id) WHERE original_task_id IS NOT NULL;

-- Ids of tasks that were deleted out of their tree, which its events still name.
CREATE TABLE deleted_tasks (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL
) STRICT;

CREATE TABLE attempts (
    number INTEGER PRIMARY KEY,
    task INTEGER NOT NULL, -- row
    attempt INTEGER NOT NULL,
    run INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    inputs BLOB,
    result BLOB,
    error BLOB
) STRICT;

CREATE INDEX attempts_of_task ON attempts (task);

-- The events of one tree in one commit: row = tree number << 32 | number of the last one.
CREATE TABLE events (
    row INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    body BLOB NOT NULL -- JSON: [[seq, type, n, status, at, attempt, actor, data], ...]
) STRICT;

CREATE TABLE records (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (namespace, key)
) STRICT;

CREATE INDEX records_expiring ON records (expires_at) WHERE expires_at IS NOT NULL;

-- For people.
CREATE VIEW tree_tasks AS
SELECT
    trees.id AS tree_id,
    tasks.row & 0xffffffff AS n,
    tasks.id,
    coalesce(tasks.name, tasks.key, tasks.id) AS name,
    json_extract('["pending","in_progress","waiting","completed","failed","cancelled","skipped"]', '$[' || tasks.status || ']') AS status,
    tasks.executor,
    tasks.run,
    tasks.attempt,
    datetime(tasks.started_at / 1000000, 'unixepoch') AS started_at,
    datetime(tasks.completed_at / 1000000, 'unixepoch') AS completed_at,
    cast(tasks.spec AS TEXT) AS spec,
    cast(tasks.result AS TEXT) AS result,
    cast(tasks.error AS TEXT) AS error
FROM tasks
JOIN trees ON trees.number = tasks.row >> 32;
