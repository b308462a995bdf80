"""The file: where it is, who may open it, and what is refused and left as it is."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import sys

import pytest

from apflow.testing.storage_samples import NOON, apply, insert, sample_tree, stored
from apflow_hookspecs import Batch, StorageOptions, TaskQuery, errors
from apflow_sqlite import apflow_storages, connection, open_sqlite, schema
from apflow_sqlite.files import file_of
from apflow_sqlite.writer import Writer

READ_ONLY = StorageOptions(read_only=True)


def url_of(path):
    return f"sqlite:///{path}"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flow.db"


@pytest.fixture
async def written(path):
    """A closed file that holds a tree."""
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    await storage.close()
    return path


async def refusal(path, kind=errors.StorageUnavailable, options=None):
    """The message with which opening a file is refused."""
    with pytest.raises(kind) as caught:
        await open_sqlite(url_of(path), options or StorageOptions())
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


def test_the_plugin_provides_the_scheme():
    (scheme,) = apflow_storages()
    assert (scheme.scheme, scheme.open) == ("sqlite", open_sqlite)


def test_a_url_names_a_file_below_the_working_folder_or_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_of("sqlite:///flow.db") == tmp_path / "flow.db"
    assert file_of("sqlite:///some/flow.db") == tmp_path / "some" / "flow.db"
    assert file_of(f"sqlite:///{tmp_path}/100% #1?.db") == tmp_path / "100% #1?.db"
    (tmp_path / "link.db").symlink_to(tmp_path / "flow.db")
    assert file_of("sqlite:///link.db") == tmp_path / "flow.db"


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://host/flow.db", "sqlite:///folder/", "sqlite:flow.db"]
)
def test_a_url_of_another_form_is_refused(url):
    with pytest.raises(errors.ConfigError, match=r"sqlite:///relative\.db"):
        file_of(url)


def test_a_database_in_memory_has_another_url():
    with pytest.raises(errors.ConfigError, match="memory:"):
        file_of("sqlite:///:memory:")


async def test_a_name_with_odd_characters_is_a_name(tmp_path):
    path = tmp_path / "100% #1?&x=1 ü.db"
    storage = await open_sqlite(url_of(path), StorageOptions())
    await storage.find(TaskQuery())
    await storage.close()
    assert path.is_file()


async def test_what_is_created_is_for_this_user_alone(tmp_path):
    before = os.umask(0)
    try:
        path = tmp_path / "data" / "apflow" / "flow.db"
        storage = await open_sqlite(url_of(path), StorageOptions())
        await insert(storage, sample_tree("t"))
        modes = {file.name: mode(file) for file in path.parent.iterdir()}
        await storage.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["flow.db", "flow.db-wal", "flow.db-shm", "flow.db.lock"], 0o600)
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


async def test_a_closed_file_stands_alone(written):
    assert {file.name for file in written.parent.iterdir()} == {"flow.db", "flow.db.lock"}


async def test_a_second_owner_is_refused_with_the_pid_of_the_first(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    message = await refusal(path, errors.StorageOwned)
    assert f"process {os.getpid()}" in message
    await storage.close()
    await (await open_sqlite(url_of(path), StorageOptions())).close()


async def test_a_link_to_an_owned_file_is_refused_too(path, tmp_path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    (tmp_path / "link.db").symlink_to(path)
    with pytest.raises(errors.StorageOwned):
        await open_sqlite(url_of(tmp_path / "link.db"), StorageOptions())
    await storage.close()


async def test_who_only_looks_sees_what_the_owner_commits_and_writes_nothing(path):
    owner = await open_sqlite(url_of(path), StorageOptions())
    looker = await open_sqlite(url_of(path), READ_ONLY)
    await insert(owner, sample_tree("t"))
    assert await stored(looker, "t") == await stored(owner, "t")
    for writing_call in (looker.commit(Batch()), looker.acquire("t", "x", "y"), looker.release("t", "x")):
        with pytest.raises(errors.StorageUnavailable, match="opened for reading only"):
            await writing_call
    await looker.close()
    await insert(owner, sample_tree("u"))
    await owner.close()


async def test_who_only_looks_creates_nothing(path):
    assert "is not there" in await refusal(path, options=READ_ONLY)
    assert list(path.parent.iterdir()) == []


async def test_a_file_can_be_looked_at_without_its_owner(written):
    looker = await open_sqlite(url_of(written), READ_ONLY)
    assert (await looker.find(TaskQuery())).total == 3
    await looker.close()
    storage = await open_sqlite(url_of(written), StorageOptions())
    assert await storage.check() == []
    await storage.close()


async def test_a_long_listing_keeps_nobody_from_writing(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (3,)
    await apply(storage, "t", claims=[(1, 1, NOON)])
    reader.close()
    await storage.close()


async def test_what_a_killed_process_committed_is_there(path):
    program = f"""
import asyncio, os, signal
from apflow_hookspecs import Batch, StorageOptions, Task, TaskTree
from apflow_sqlite import open_sqlite

async def main():
    storage = await open_sqlite({url_of(path)!r}, StorageOptions("process"))
    await storage.commit(Batch(trees=[TaskTree(id="t", tasks={{"t": Task(n=0, id="t", key="t", name="t", tree_id="t")}})]))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == -signal.SIGKILL
    assert path.with_name("flow.db-wal").stat().st_size > 0
    looker = await open_sqlite(url_of(path), READ_ONLY)
    assert (await looker.find(TaskQuery())).total == 1
    await looker.close()
    storage = await open_sqlite(url_of(path), StorageOptions())
    assert await storage.check() == []
    assert (await storage.find(TaskQuery())).total == 1
    await storage.close()


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_bytes(b"something else\n" * 1000)
    assert "is not a SQLite database" in await refusal(path)
    assert "is not a SQLite database" in await refusal(path, options=READ_ONLY)
    assert path.read_bytes() == b"something else\n" * 1000


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    assert "another program" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_newer_schema_is_refused_and_left_as_it_is(written):
    newer = sqlite3.connect(written)
    newer.execute("PRAGMA user_version = 9000")
    newer.close()
    before = written.read_bytes()
    message = await refusal(written)
    assert "has schema 9000" in message
    assert f"knows {len(schema.steps())}" in message
    assert "has schema 9000" in await refusal(written, options=READ_ONLY)
    assert written.read_bytes() == before


async def test_an_older_schema_is_not_read_as_it_is(written):
    older = sqlite3.connect(written)
    older.execute("PRAGMA user_version = 0")
    older.close()
    assert "apflow db migrate" in await refusal(written, options=READ_ONLY)


@pytest.fixture
async def damaged(written):
    """A file whose tasks are overwritten, with what it holds."""
    pages = sqlite3.connect(written)
    (page,) = pages.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tasks'").fetchone()
    (size,) = pages.execute("PRAGMA page_size").fetchone()
    pages.close()
    with written.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    return written


async def test_a_damaged_file_is_refused_with_what_restores_it_and_left_as_it_is(damaged):
    before = damaged.read_bytes()
    message = await refusal(damaged)
    assert "is damaged" in message
    assert f"cp COPY {damaged}" in message
    assert damaged.read_bytes() == before


async def test_a_damaged_file_can_be_checked_without_being_owned(damaged):
    looker = await open_sqlite(url_of(damaged), READ_ONLY)
    assert await looker.check()
    with pytest.raises(errors.StorageUnavailable, match="is damaged"):
        await looker.find(TaskQuery())
    await looker.close()


async def test_the_look_through_can_be_left_out(damaged):
    storage = await open_sqlite(url_of(damaged), StorageOptions(section={"check": "never"}))
    await storage.close()


async def test_a_truncated_file_is_refused(written):
    os.truncate(written, written.stat().st_size // 2)
    assert "is damaged" in await refusal(written)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (StorageOptions("memory"), "durability = 'memory'"),
        (StorageOptions(section={"chek": "auto"}), "sqlite.chek"),
        (StorageOptions(section={"check": "sometimes"}), "sqlite.check = 'sometimes'"),
        (StorageOptions(section={"readers": 0}), "sqlite.readers = 0"),
    ],
)
async def test_options_that_do_not_fit_are_refused_by_name(path, options, named):
    with pytest.raises(errors.ConfigError) as caught:
        await open_sqlite(url_of(path), options)
    assert named in caught.value.message
    assert not path.exists()


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("process", 1)])
async def test_the_durability_is_sqlites_synchronous_in_wal_mode(path, durability, synchronous):
    storage = await open_sqlite(url_of(path), StorageOptions(durability))
    pragmas = await storage._writer.run(
        Writer.run, lambda db: [*db.execute("PRAGMA synchronous"), *db.execute("PRAGMA journal_mode")]
    )
    assert pragmas == [(synchronous,), ("wal",)]
    assert (await storage.info())["durability"] == durability
    await storage.close()


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "flow.db"
    assert "make its folder readable and writable" in await refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_file_in_a_folder_that_cannot_be_written_can_be_looked_at(written):
    written.parent.chmod(0o500)
    try:
        assert "make its folder readable and writable" in await refusal(written)
        looker = await open_sqlite(url_of(written), READ_ONLY)
        assert (await looker.find(TaskQuery())).total == 3
        await looker.close()
    finally:
        written.parent.chmod(0o700)


async def test_a_full_disk_is_told_and_nothing_of_the_batch_is_written(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    pages = await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await storage._writer.run(Writer.run, lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    with pytest.raises(errors.StorageUnavailable, match="the disk is full; make room"):
        await insert(storage, sample_tree("big", 2000))
    await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())
    assert await storage.tree("big") is None
    await insert(storage, sample_tree("big", 2000))
    assert await storage.check() == []
    await storage.close()


async def test_a_writer_from_outside_is_told(path, monkeypatch):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA busy_timeout = 1").fetchall())
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StorageUnavailable, match="is locked by another program"):
        await insert(storage, sample_tree("t"))
    outside.close()
    await insert(storage, sample_tree("t"))
    await storage.close()


async def test_a_bad_value_fails_its_own_batch_only(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    with pytest.raises(OverflowError):
        await apply(storage, "t", claims=[(1, 2**70, NOON)])
    await apply(storage, "t", claims=[(1, 1, NOON)])
    await storage.close()


async def test_a_batch_is_one_hop(path, monkeypatch):
    storage = await open_sqlite(url_of(path), StorageOptions())
    hops = []
    plain = connection.Jobs.commit
    monkeypatch.setattr(connection.Jobs, "commit", lambda self: (hops.append(len(self._waiting)), plain(self))[1])
    monkeypatch.setattr(connection.aiosqlite.Connection, "execute", None)
    await insert(storage, *(sample_tree(f"t{number}") for number in range(50)))
    assert hops == [1]
    await storage.close()


async def test_a_backup_is_whole_and_its_user_s_alone(path, tmp_path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    copy = tmp_path / "copy.db"
    await storage.backup(str(copy))
    await insert(storage, sample_tree("u"))
    assert mode(copy) == 0o600
    restored = await open_sqlite(url_of(copy), StorageOptions())
    assert await stored(restored, "t") == await stored(storage, "t")
    assert await restored.tree("u") is None
    assert await restored.check() == []
    await restored.close()
    await storage.close()


async def test_of_a_damaged_file_there_is_no_backup(path, tmp_path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t", 2000))
    await storage.close()
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(8192) + content[16384:])
    damaged = await open_sqlite(url_of(path), StorageOptions(read_only=True))
    with pytest.raises(errors.StorageBroken, match=r"flow\.db: is damaged"):
        await damaged.backup(str(tmp_path / "copy.db"))
    await damaged.close()
    assert not list(tmp_path.glob("copy*"))


async def test_a_backup_never_replaces_a_file(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    with pytest.raises(errors.StorageUnavailable, match="is there already"):
        await storage.backup(str(path))
    with pytest.raises(errors.StorageUnavailable, match="nowhere"):
        await storage.backup(str(path.parent / "nowhere" / "copy.db"))
    await insert(storage, sample_tree("t"))
    await storage.close()


async def test_the_check_finds_what_does_not_belong_together(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"), sample_tree("u"))
    event = (1, "task_started", 1, "in_progress", NOON, 1, None, None)
    await apply(storage, "t", claims=[(1, 1, NOON)], events=[event])
    assert await storage.check() == []

    def spoil(db):
        db.execute("DELETE FROM trees WHERE id = 'u'")
        db.execute("DELETE FROM events")
        db.execute("UPDATE tasks SET started_at = NULL")

    await storage._writer.run(Writer.run, spoil)
    assert await storage.check() == [
        "3 tasks of no tree",
        "1 trees whose last event has another number than they say",
        "1 trees with a gap in their events",
        "1 tasks in progress that never started",
    ]
    await storage.close()


async def test_everything_a_file_holds_can_be_read_by_people(path):
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    await apply(storage, "t", claims=[(1, 1, NOON)])
    await storage.close()
    reader = sqlite3.connect(path)
    rows = reader.execute("SELECT tree_id, n, id, name, status, started_at FROM tree_tasks ORDER BY n").fetchall()
    assert rows[1] == ("t", 1, "t.1", "task-1", "in_progress", "2025-07-31 12:00:00")
    reader.close()
