"""What a task costs stays the same however many there are: SQLite's own counts of statements and rows."""

from __future__ import annotations

import pytest

import apflow_sqlite
from apflow.testing import engine_of
from apflow.testing.storage_samples import NOON, TOKEN, change, insert, sample_tree
from apflow_hookspecs import Batch, StorageOptions, TaskQuery, executor
from apflow_sqlite import open_sqlite
from apflow_sqlite.writer import Writer


@pytest.fixture
async def storage(tmp_path):
    storage = await open_sqlite(f"sqlite:///{tmp_path}/flow.db", StorageOptions("process"))
    yield storage
    await storage.close()


def connection_of(subject):
    return subject.connection if isinstance(subject, Writer) else subject


async def statements(line, work):
    """The SQL statements that a connection executes while some work is done."""
    seen = []
    await line.run(lambda subject: connection_of(subject).set_trace_callback(seen.append))
    await work
    await line.run(lambda subject: connection_of(subject).set_trace_callback(None))
    return seen


def event(n, kind, status):
    return (n, kind, n % 100, status, NOON, 1, None, None)


async def whole_life(storage, size):
    """The verbs of the statements of a tree that is inserted, run in two batches and deleted."""
    seen = []
    claims = [(n, 1, NOON) for n in range(1, size)]
    completions = [(n, NOON, b"1") for n in range(1, size)]
    for batch in (
        Batch(trees=[sample_tree("t", size)]),
        Batch(changes={"t": change(claims=claims, events=[event(n, "task_started", "in_progress") for n in range(1, size)])}),
        Batch(changes={"t": change(completions=completions, tree={"status": "completed", "status_at": NOON})}),
        Batch(deletes=[("t", TOKEN, None)]),
    ):
        seen += await statements(storage._writer, storage.commit(batch))
    return [statement.split(maxsplit=1)[0] for statement in seen]


@pytest.mark.parametrize("size", [10, 1_000])
async def test_a_task_costs_three_statements_and_a_tree_a_constant_number(storage, size):
    seen = await whole_life(storage, size)
    per_task = {"INSERT": size, "UPDATE": 2 * (size - 1)}
    rest = {verb: seen.count(verb) - per_task.get(verb, 0) for verb in set(seen)}
    # The batch without events and the one that deletes leave a mark, by which it could be told that they are in.
    assert rest == {"BEGIN": 4, "COMMIT": 4, "INSERT": 4, "UPDATE": 3, "SELECT": 1, "DELETE": 5}


@pytest.mark.parametrize("size", [10, 1_000])
async def test_the_events_of_a_commit_are_one_row(storage, size):
    await whole_life(storage, 2)
    await insert(storage, sample_tree("u", 100))
    events = [event(n, "task_progress", "in_progress") for n in range(1, size)]
    assert await storage.commit(Batch(changes={"u": change(events=events)}))
    rows = await storage._writer.run(Writer.run, lambda db: db.execute("SELECT count(*) FROM events").fetchone())
    assert rows == (1,)
    assert len(await storage.events("u")) == size - 1


@pytest.mark.parametrize("size", [10, 1_000])
async def test_reading_takes_a_constant_number_of_statements(storage, size):
    await insert(storage, sample_tree("t", size))
    await storage.find(TaskQuery())
    (line,) = storage._readers._lines
    reads = {
        "tree": storage.tree("t"),
        "task": storage.task("t.5"),
        "children": storage.children("t"),
        "find": storage.find(TaskQuery(limit=1_000)),
        "open_trees": storage.open_trees(),
    }
    counts = {name: len(await statements(line, read)) for name, read in reads.items()}
    # A read stands between BEGIN and ROLLBACK.
    assert counts == {"tree": 4, "task": 5, "children": 6, "find": 6, "open_trees": 3}


def explained(db, select):
    return db.execute(f"EXPLAIN QUERY PLAN {select}").fetchall()


async def test_no_listing_sorts_and_no_task_is_looked_for_without_an_index(storage):
    queries = [TaskQuery(), TaskQuery(root_only=True), TaskQuery(user_id="ada"), TaskQuery(context_id="x", root_only=True)]
    await storage.find(TaskQuery())
    (line,) = storage._readers._lines
    for query in queries:
        seen = await statements(line, storage.find(query))
        select = next(statement for statement in seen if "LIMIT" in statement)
        plan = [row[3] for row in await line.run(explained, select)]
        assert not [step for step in plan if "TEMP B-TREE" in step or "SCAN tasks" in step], plan


async def costs_of_a_stored_tree(tmp_path, size):
    """Statements that write a copy of a whole tree, archive it, take it out again, and delete it."""
    tasks = [{"id": "root"}, *({"id": f"t{n}", "parent_id": "root", "executor": "noop"} for n in range(size - 1))]

    @executor("noop")
    async def noop():
        return None

    async with engine_of(noop, url=f"sqlite:///{tmp_path}/{size}.db", plugins={"sqlite": apflow_sqlite}) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        await engine.manager.distribute_task_tree(tree)
        writer = engine.storage._writer
        return {
            "copy": len(await statements(writer, engine.creator.create_task_copy("t0", copy_mode="full"))),
            "archive": len(await statements(writer, engine.editor.archive("root"))),
            "undo": len(await statements(writer, engine.editor.archive("root", undo=True))),
            "delete": len(await statements(writer, engine.editor.delete("root"))),
        }


async def test_a_tree_is_copied_with_a_statement_a_task_and_archived_and_deleted_with_a_few(tmp_path):
    small, large = await costs_of_a_stored_tree(tmp_path, 100), await costs_of_a_stored_tree(tmp_path, 2_000)
    assert large["copy"] - small["copy"] == 1_900
    assert {name: large[name] for name in ("archive", "undo", "delete")} == {
        name: small[name] for name in ("archive", "undo", "delete")
    }
    assert max(large["archive"], large["delete"]) < 12
