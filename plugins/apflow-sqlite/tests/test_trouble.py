"""A disk that fails: what is told, what is in the file afterwards, and that writing goes on when it is well again."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sqlite3

import pytest

from apflow.testing.storage_samples import NOON, TOKEN, apply, change, insert, sample_tree, stored_task
from apflow_hookspecs import Batch, RecordWrite, StorageOptions, TaskQuery, errors
from apflow_sqlite import connection, open_sqlite, watching
from apflow_sqlite.failures import failure
from apflow_sqlite.files import lock_of
from apflow_sqlite.writer import Writer

EVENT = (1, "task_started", 1, "in_progress", NOON, 1, None, None)
CLAIM = {"claims": [(1, 1, NOON)], "events": [EVENT]}


def sqlite_error(name):
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SQLITE_FULL", "make room"),
        ("SQLITE_IOERR_FSYNC", "the disk reports an error"),
        ("SQLITE_BUSY_SNAPSHOT", "is locked by another program"),
        ("SQLITE_LOCKED_SHAREDCACHE", "is locked by another program"),
        ("SQLITE_READONLY_DIRECTORY", "make the file and its folder writable"),
        ("SQLITE_CANTOPEN_ISDIR", "cannot be opened"),
    ],
)
def test_what_may_pass_is_unavailable(path, name, told):
    found = failure(path, sqlite_error(name))
    assert type(found) is errors.StorageUnavailable
    assert found.message.startswith(f"{path}: ")
    assert told in found.message


@pytest.mark.parametrize(
    ("name", "told"),
    [("SQLITE_CORRUPT_INDEX", "is damaged"), ("SQLITE_NOTADB", "is not a SQLite database"), ("SQLITE_ERROR", "SQLite failed")],
)
def test_what_somebody_has_to_mend_is_broken(path, name, told):
    found = failure(path, sqlite_error(name))
    assert type(found) is errors.StorageBroken
    assert told in found.message


async def test_a_full_disk_is_told_and_what_did_not_fit_is_written_when_there_is_room(small_disk, filled):
    storage = await open_sqlite(f"sqlite:///{small_disk}/flow.db", StorageOptions())
    await insert(storage, sample_tree("t"))
    filler = filled(small_disk)
    batch = Batch(trees=[sample_tree("big", 1000)], changes={"t": change(**CLAIM)})
    for _ in range(2):
        with pytest.raises(errors.StorageUnavailable, match="the disk is full; make room") as caught:
            await storage.commit(batch)
        assert not isinstance(caught.value, errors.StorageBroken)
    assert await storage.tree("big") is None
    assert (await stored_task(storage, "t.1")).status == "pending"
    filler.unlink()
    assert await storage.commit(batch)
    assert await storage.check() == []
    await storage.close()


async def test_a_disk_that_is_full_from_the_start_is_told(small_disk, filled):
    filler = filled(small_disk)
    url = f"sqlite:///{small_disk}/flow.db"
    with pytest.raises(errors.StorageUnavailable, match="the disk is full; make room"):
        await open_sqlite(url, StorageOptions())
    filler.unlink()
    await (await open_sqlite(url, StorageOptions())).close()


async def test_a_disk_that_is_full_when_the_file_is_opened_again_is_told_and_the_file_left_as_it_is(small_disk, filled):
    url = f"sqlite:///{small_disk}/flow.db"
    storage = await open_sqlite(url, StorageOptions())
    await insert(storage, sample_tree("t"))
    await storage.close()
    before = (small_disk / "flow.db").read_bytes()
    filler = filled(small_disk)
    with pytest.raises(errors.StorageUnavailable, match="the disk is full; make room"):
        await open_sqlite(url, StorageOptions())
    assert (small_disk / "flow.db").read_bytes() == before
    filler.unlink()
    storage = await open_sqlite(url, StorageOptions())
    assert await storage.check() == []
    await storage.close()


async def test_an_io_error_of_the_system_leaves_nothing_and_the_next_try_writes(storage):
    await insert(storage, sample_tree("t"))
    log = storage.path.with_name("flow.db-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    batch = Batch(trees=[sample_tree("big", 1000)], changes={"t": change(**CLAIM)})
    # Python ignores the signal, and a write beyond the limit fails with EFBIG: an I/O error, to SQLite.
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 20_000, limits[1]))
    try:
        with pytest.raises(errors.StorageUnavailable, match="the disk reports an error"):
            await storage.commit(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert await storage.tree("big") is None
    assert await storage.commit(batch)
    assert (await stored_task(storage, "t.1")).status == "in_progress"
    assert await storage.check() == []


@pytest.fixture
async def failing(faults, path):
    """A storage that holds the trees `t` and `u`, and whose writing connection fails as `faults` are planned."""
    storage = await open_sqlite(f"sqlite:///{path}", StorageOptions())
    await insert(storage, sample_tree("t"), sample_tree("u"))
    yield storage
    faults.times = faults.refused = 0
    assert await storage.check() == []
    await storage.close()


@pytest.mark.parametrize("verb", ["BEGIN", "UPDATE trees", "INSERT INTO events", "COMMIT"])
async def test_after_an_io_error_the_next_try_is_on_a_new_connection(failing, faults, verb):
    faults.plan(verb)
    if verb.startswith("INSERT"):  # made by executemany, which is not counted
        verb = faults.verb = "COMMIT"
    batch = Batch(changes={"t": change(**CLAIM)})
    with pytest.raises(errors.StorageUnavailable, match="the disk reports an error"):
        await failing.commit(batch)
    assert (await stored_task(failing, "t.1")).status == "pending"
    assert await failing.commit(batch)
    assert faults.opened == 2
    assert len(await failing.events("t")) == 1


@pytest.mark.parametrize("refused", [0, 1, 3])
@pytest.mark.parametrize(
    "batch",
    [
        Batch(changes={"t": change(**CLAIM)}),
        Batch(changes={"t": change(claims=[(1, 1, NOON)])}),
        Batch(records=[RecordWrite("x", "k", b"1", expected=0)]),
        Batch(deletes=[("t", TOKEN, None)]),
        Batch(trees=[sample_tree("v")], records=[RecordWrite("x", "k", b"1", expected=0)]),
    ],
    ids=["events", "no events", "record", "deletion", "tree"],
)
async def test_a_batch_whose_commit_failed_after_it_was_made_is_answered_as_written(failing, faults, batch, refused):
    faults.plan("COMMIT", after=True)
    faults.refused = refused
    for _ in range(refused):
        with pytest.raises(errors.StorageUnavailable, match="the disk reports an error"):
            await failing.commit(batch)
    assert await failing.commit(batch)
    assert faults.times == faults.refused == 0
    if refused:
        # It is sure now, and handed in once more it is another batch: what it expects is no longer so, or there already.
        assert not (await failing.commit(batch))


async def test_what_a_commit_in_doubt_left_is_in_the_file_before_it_is_answered(failing, faults, path):
    faults.plan("COMMIT", after=True)
    await insert(failing, sample_tree("v"))
    log, copied = await failing._writer.run(Writer.run, lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1:])
    assert log == copied
    alone = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    assert alone.execute("SELECT count(*) FROM trees WHERE id = 'v'").fetchone() == (1,)
    alone.close()


async def test_of_a_batch_in_doubt_the_trees_that_are_not_wanted_any_more_are_taken_out(failing, faults):
    faults.plan("COMMIT", after=True)
    faults.refused = 1
    batch = Batch(trees=[sample_tree("v"), sample_tree("w")], changes={"v": change(**CLAIM), "t": change(**CLAIM)})
    with pytest.raises(errors.StorageUnavailable):
        await failing.commit(batch)
    batch.trees.pop(0)
    del batch.changes["v"]
    assert await failing.commit(batch)
    assert await failing.tree("v") is None
    assert await failing.tree("w") is not None
    assert (await stored_task(failing, "t.1")).status == "in_progress"
    await insert(failing, sample_tree("v"))


async def test_of_a_batch_in_doubt_that_is_given_up_no_tree_stays(failing, faults):
    faults.plan("COMMIT", after=True)
    faults.refused = 1
    with pytest.raises(errors.StorageUnavailable):
        await insert(failing, sample_tree("v"))
    await apply(failing, "t", **CLAIM)
    assert await failing.tree("v") is None


async def test_an_unwritten_batch_in_doubt_leaves_the_next_one_alone(failing, faults):
    faults.plan("COMMIT")
    faults.refused = 1
    with pytest.raises(errors.StorageUnavailable):
        await insert(failing, sample_tree("v"))
    await insert(failing, sample_tree("v"))


async def test_an_owner_is_taken_and_given_up_on_a_new_connection_too(failing, faults):
    faults.plan("UPDATE trees")
    with pytest.raises(errors.StorageUnavailable):
        await failing.acquire("t", "second", "2@there")
    assert await failing.acquire("t", "second", "2@there")
    faults.plan("UPDATE trees")
    with pytest.raises(errors.StorageUnavailable):
        await failing.release("t", "second")
    await failing.release("t", "second")
    assert (await failing.tree("t")).owner is None
    assert faults.opened == 3


@pytest.mark.parametrize("verb", ["COMMIT", "BEGIN"])
async def test_a_full_disk_keeps_the_connection(failing, faults, verb):
    faults.plan(verb, code="SQLITE_FULL")
    with pytest.raises(errors.StorageUnavailable, match="make room"):
        await insert(failing, sample_tree("v"))
    await insert(failing, sample_tree("v"))
    assert faults.opened == 1


async def test_commits_that_wait_behind_an_io_error_are_written(failing, faults):
    faults.plan("COMMIT")
    batches = [Batch(changes={id: change(**CLAIM)}) for id in ("t", "u")]
    first, second = await asyncio.gather(*map(failing.commit, batches), return_exceptions=True)
    assert isinstance(first, errors.StorageUnavailable)
    assert second
    assert await failing.commit(batches[0])


async def test_a_lock_from_outside_is_waited_for(storage, monkeypatch):
    outside = sqlite3.connect(storage.path, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(insert(storage, sample_tree("t")))
    reading = await storage.find(TaskQuery())
    assert reading.total == 0
    assert not waiting.done()
    outside.close()
    await waiting
    timeout = await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA busy_timeout").fetchone())
    assert timeout == (connection.BUSY_TIMEOUT * 1000,) == (5000,)


async def test_a_lock_from_outside_that_stays_is_told(storage, monkeypatch):
    await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA busy_timeout = 1").fetchall())
    outside = sqlite3.connect(storage.path, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StorageUnavailable, match="is locked by another program") as caught:
        await insert(storage, sample_tree("t"))
    assert not isinstance(caught.value, errors.StorageBroken)
    outside.close()
    await insert(storage, sample_tree("t"))


@pytest.fixture
def always_looking(monkeypatch):
    monkeypatch.setattr(watching, "INTERVAL", 0.0)


@pytest.mark.parametrize("name", ["flow.db", "flow.db-wal", "flow.db.lock"])
@pytest.mark.parametrize("change_of", ["removed", "replaced", "moved"])
async def test_a_file_that_is_taken_away_under_its_owner_is_told(always_looking, storage, name, change_of):
    await insert(storage, sample_tree("t"))
    file = storage.path.with_name(name)
    kept = file.rename(file.with_name("kept"))
    if change_of == "removed":
        kept.unlink()
    if change_of == "replaced":
        file.write_bytes(kept.read_bytes())
    with pytest.raises(errors.StorageBroken, match=r"moved, removed or replaced while .*(cp COPY|end all)") as caught:
        await insert(storage, sample_tree("u"))
    assert caught.value.message.startswith(f"{file}: ")
    if change_of == "moved":
        kept.rename(file)
        await insert(storage, sample_tree("u"))


async def test_a_file_is_looked_for_once_a_second(path):
    now = 10.0
    path.touch()
    lock_of(path).touch()
    watch = watching.Watch(path, lambda: now)
    watch.look()
    path.unlink()
    watch.look()
    now += watching.INTERVAL
    with pytest.raises(errors.StorageBroken):
        watch.look()


async def test_a_file_that_is_gone_when_the_connection_is_opened_anew_is_told_at_once(failing, faults):
    faults.plan("COMMIT")
    kept = failing.path.rename(failing.path.with_name("kept"))
    with pytest.raises(errors.StorageBroken, match="moved, removed or replaced"):
        await insert(failing, sample_tree("v"))
    kept.rename(failing.path)


async def test_a_table_that_is_missing_is_told_when_the_file_is_opened_and_when_it_is_used(storage, path):
    await insert(storage, sample_tree("t"))
    await storage._writer.run(Writer.run, lambda db: db.execute("DROP TABLE attempts").fetchall())
    with pytest.raises(errors.StorageBroken, match="no such table: attempts"):
        await storage.attempts("t")
    await storage.close()
    before = hashlib.sha256(path.read_bytes()).digest()
    for options in (StorageOptions(), StorageOptions(read_only=True)):
        with pytest.raises(errors.StorageBroken, match="no such table: attempts"):
            await open_sqlite(f"sqlite:///{path}", options)
    assert hashlib.sha256(path.read_bytes()).digest() == before


async def test_a_file_that_is_cut_off_while_it_is_used_is_told(storage, path):
    await insert(storage, sample_tree("t", 2000))
    await storage._writer.run(Writer.run, lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    with path.open("r+b") as file:
        file.truncate(8192)
    with pytest.raises(errors.StorageBroken, match="is damaged"):
        await storage.tree("t")
