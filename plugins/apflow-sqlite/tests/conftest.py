"""Storages in files, and what fails in them."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from apflow_hookspecs import StorageOptions
from apflow_sqlite import care, open_sqlite, schema

NOBODY = 65534


class Faults:
    """Connections of which one statement fails as if the disk did, before or after it was executed.

    Args:
        code: SQLite's error, by name.
    """

    def __init__(self) -> None:
        self.verb = ""
        self.after = False
        self.times = 0
        self.code = "SQLITE_IOERR_FSYNC"
        self.refused = 0
        """How many connections cannot be opened."""
        self.opened = 0

    def plan(self, verb, *, after=False, times=1, code="SQLITE_IOERR_FSYNC"):
        self.verb, self.after, self.times, self.code = verb, after, times, code

    def error(self):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, self.code), self.code
        return error

    def connect(self, path, mode):
        if mode == "rw":
            if self.refused:
                self.refused -= 1
                raise self.error()
            self.opened += 1
        return _Failing(self, path, mode)


class _Failing(sqlite3.Connection):
    def __init__(self, faults, path, mode):
        super().__init__(f"file:{path}?mode={mode}", uri=True, isolation_level=None, timeout=1)
        self._faults = faults

    def execute(self, statement, *parameters):
        faults = self._faults
        if not (faults.times and statement.lstrip().startswith(faults.verb)):
            return super().execute(statement, *parameters)
        faults.times -= 1
        if faults.after:
            super().execute(statement, *parameters)
        raise faults.error()


@pytest.fixture
def faults(monkeypatch):
    faults = Faults()
    monkeypatch.setattr(care, "connect", faults.connect)
    return faults


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flow.db"


@pytest.fixture
async def storage(path):
    storage = await open_sqlite(f"sqlite:///{path}", StorageOptions())
    yield storage
    await storage.close()


@pytest.fixture
def shared_folder():
    """A folder that every user may reach, which pytest's is not."""
    folder = Path(tempfile.mkdtemp(prefix="apflow-sqlite-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def without_root(shared_folder):
    """For the length of the test its user has to be allowed what it does."""
    if os.geteuid() != 0:
        yield
        return
    schema.steps()  # where the plugin is installed may be the other user's alone
    os.chown(shared_folder, NOBODY, NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount")
    yield folder
    # A test that failed may have left files open, which a lazy umount does not wait for.
    subprocess.run(["umount", "--lazy", folder], check=True)


def _fits(file):
    try:
        return file.write(bytes(4096))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0


@pytest.fixture
def filled():
    """Fills what is left of a filesystem, with a file that is handed back."""

    def fill(folder):
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            while _fits(file):
                pass
        return filler

    return fill
