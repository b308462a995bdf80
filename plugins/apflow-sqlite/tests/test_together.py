"""Reads of one row that come together."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from apflow_hookspecs import Batch, RecordWrite
from apflow_hookspecs.errors import StorageUnavailable
from apflow_sqlite.readers import Readers


@pytest.fixture
async def readers(tmp_path):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
    connection.close()
    readers = Readers(path, "ro", 2)
    yield readers
    await readers.close()


class Counting:
    """Counts the transactions in which it was called."""

    def __init__(self):
        self.calls = 0
        self.connections = []

    def __call__(self, connection, n):
        self.calls += 1
        self.connections.append(connection)
        return connection.execute("SELECT n + ? FROM t", (n,)).fetchone()[0]


async def test_many_reads_at_once_take_few_hops(readers, monkeypatch):
    hops, run = [], readers.run

    async def counted(function, *arguments):
        hops.append(len(arguments[0]))
        return await run(function, *arguments)

    monkeypatch.setattr(readers, "run", counted)
    read = Counting()
    assert await asyncio.gather(*(readers.quickly(read, n) for n in range(100))) == list(range(1, 101))
    assert hops == [100]
    assert await readers.quickly(read, 0) == 1
    assert hops == [100, 1]


async def test_an_error_is_told_to_who_asked_and_to_nobody_else(readers):
    def broken(connection):
        connection.execute("SELECT nothing FROM t")

    def wrong(connection):
        raise ZeroDivisionError

    read = Counting()
    told = await asyncio.gather(
        readers.quickly(read, 1),
        readers.quickly(broken),
        readers.quickly(wrong),
        readers.quickly(read, 2),
        return_exceptions=True,
    )
    assert told[0::3] == [2, 3]
    assert isinstance(told[1], StorageUnavailable)
    assert isinstance(told[1].__cause__, sqlite3.Error)
    assert isinstance(told[2], ZeroDivisionError)


async def test_who_is_cancelled_takes_nobody_along(readers):
    read = Counting()
    asked = [asyncio.create_task(readers.quickly(read, n)) for n in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == [2, 3]
    assert await readers.quickly(read, 3) == 4


async def test_a_storage_that_is_closed_tells_all_who_ask(readers):
    await readers.close()
    told = await asyncio.gather(*(readers.quickly(Counting(), n) for n in range(3)), return_exceptions=True)
    assert all(isinstance(each, StorageUnavailable) for each in told)


async def test_what_was_committed_before_is_seen(storage):
    for n in range(20):
        await asyncio.gather(storage.record("x", "k"), storage.record("x", "other"))
        assert await storage.commit(Batch(records=[RecordWrite("x", "k", b"%d" % n)]))
        seen = await asyncio.gather(*(storage.record("x", "k") for _ in range(5)))
        assert [record.value for record in seen] == [b"%d" % n] * 5
