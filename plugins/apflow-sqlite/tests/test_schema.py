"""The schema's steps."""

from __future__ import annotations

import sqlite3

import pytest

from apflow_hookspecs import StorageOptions
from apflow_sqlite import open_sqlite, schema
from apflow_sqlite.schema import Step

FIRST = Step(1, "0001_first", "CREATE TABLE a (x);")
SECOND = Step(2, "0002_second", "CREATE TABLE b (x); INSERT INTO b VALUES (1);")
BROKEN = Step(3, "0003_broken", "CREATE TABLE c (x); CREATE TABLE a (x);")


@pytest.fixture
def db(tmp_path):
    connection = sqlite3.connect(tmp_path / "flow.db", isolation_level=None)
    yield connection
    connection.close()


def tables(db):
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]


def test_the_steps_are_numbered_without_gaps():
    assert [step.number for step in schema.steps()] == list(range(1, len(schema.steps()) + 1))


async def test_a_fresh_file_has_the_latest_schema_and_needs_no_step_when_it_is_opened_again(tmp_path):
    url = f"sqlite:///{tmp_path}/flow.db"
    storage = await open_sqlite(url, StorageOptions())
    assert await storage.migrate() == [step.name for step in schema.steps()]
    assert (await storage.info())["schema"] == len(schema.steps())
    await storage.close()
    again = await open_sqlite(url, StorageOptions())
    assert await again.migrate() == []
    await again.close()


def test_only_the_steps_that_a_file_lacks_are_taken(db):
    assert schema.migrate(db, [FIRST]) == ["0001_first"]
    assert schema.migrate(db, [FIRST, SECOND]) == ["0002_second"]
    assert schema.migrate(db, [FIRST, SECOND]) == []
    assert (tables(db), schema.version(db)) == (["a", "b"], 2)


def test_a_step_that_fails_leaves_the_file_at_the_step_before(db):
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(db, [FIRST, SECOND, BROKEN])
    assert (tables(db), schema.version(db)) == (["a", "b"], 2)
    assert not db.in_transaction
