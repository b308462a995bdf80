"""Where a file may lie, who may use it there, and where its owner is spoken to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from apflow.testing.storage_samples import insert, sample_tree
from apflow_hookspecs import StorageOptions, TaskQuery, errors
from apflow_sqlite import endpoint, mounts, open_sqlite
from apflow_sqlite.endpoint import LONGEST, socket_of
from apflow_sqlite.mounts import filesystem

READ_ONLY = StorageOptions(read_only=True)

TABLE = r"""
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
nas:/export /srv/data nfs4 rw,vers=4.2 0 0
/dev/vdb /srv/data/local xfs rw 0 0
me@host:/ /home/me/my\040host fuse.sshfs rw 0 0
/dev/vdc /mnt/changed ext4 rw 0 0
//nas/share /mnt/changed cifs rw 0 0
"""[1:]


def url_of(path):
    return f"sqlite:///{path}"


async def refusal(path, kind, options=None):
    with pytest.raises(kind) as caught:
        await open_sqlite(url_of(path), options or StorageOptions())
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/flow.db", "ext4"),
        ("/srv/flow.db", "ext4"),
        ("/srv/data/flow.db", "nfs4"),
        ("/srv/data/not/there/yet/flow.db", "nfs4"),
        ("/srv/database/flow.db", "ext4"),
        ("/srv/data/local/flow.db", "xfs"),
        ("/home/me/my host/flow.db", "fuse.sshfs"),
        ("/mnt/changed/flow.db", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_above_a_file_holds_it(path, kind):
    assert filesystem(Path(path), TABLE) == kind


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Says that a folder is of another filesystem."""

    def mount(folder, kind):
        table = tmp_path / "mounts"
        table.write_text(f"/dev/vda / ext4 rw 0 0\nhost:/ {folder} {kind} rw 0 0\n")
        monkeypatch.setattr(mounts, "MOUNTS", table)

    return mount


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"])
async def test_a_file_on_a_network_filesystem_is_refused_and_nothing_is_created(path, mounted, kind):
    mounted(path.parent / "share", kind)
    there = path.parent / "share" / "flow.db"
    for options in (StorageOptions(), READ_ONLY):
        refused = await refusal(there, errors.StorageBroken, options)
        assert f"network filesystem ({kind})" in refused.message
        assert "force = true" in refused.message
    assert not there.parent.exists()


async def test_a_file_on_a_network_filesystem_is_used_where_that_is_forced(path, mounted):
    mounted(path.parent, "nfs")
    storage = await open_sqlite(url_of(path), StorageOptions(section={"force": True}))
    await insert(storage, sample_tree("t"))
    await storage.close()


async def test_forcing_is_yes_or_no(path):
    with pytest.raises(errors.ConfigError, match=r"sqlite\.force = 'please': has to be true or false"):
        await open_sqlite(url_of(path), StorageOptions(section={"force": "please"}))


async def test_where_mounts_cannot_be_read_a_file_counts_as_local(path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTS", path.with_name("nothing"))
    await (await open_sqlite(url_of(path), StorageOptions())).close()


@pytest.mark.parametrize("options", [StorageOptions(), READ_ONLY], ids=["to write", "to look"])
async def test_a_folder_is_no_file(path, options):
    path.mkdir()
    assert "is a folder; name a file" in (await refusal(path, errors.StorageBroken, options)).message
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look after the files of others")
async def test_a_lock_that_root_makes_is_the_file_owners(path):
    await (await open_sqlite(url_of(path), StorageOptions())).close()
    lock = path.with_name("flow.db.lock")
    lock.unlink()
    os.chown(path, 65534, 65534)
    await (await open_sqlite(url_of(path), StorageOptions())).close()
    assert (lock.stat().st_uid, lock.stat().st_gid) == (65534, 65534)


async def test_a_pipe_is_no_file(path):
    os.mkfifo(path)
    assert "neither a file" in (await refusal(path, errors.StorageBroken)).message


async def test_in_a_folder_that_may_not_be_written_nothing_is_created(shared_folder, without_root):
    shared_folder.chmod(0o555)
    path = shared_folder / "flow.db"
    assert "make its folder readable and writable" in (await refusal(path, errors.StorageUnavailable)).message
    assert list(shared_folder.iterdir()) == []


async def test_a_file_in_a_folder_that_may_not_be_written_can_be_looked_at(shared_folder, without_root):
    path = shared_folder / "flow.db"
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    await storage.close()
    path.with_name("flow.db.lock").unlink()
    before = path.read_bytes()
    shared_folder.chmod(0o555)
    assert "make its folder readable and writable" in (await refusal(path, errors.StorageUnavailable)).message
    looker = await open_sqlite(url_of(path), READ_ONLY)
    assert (await looker.find(TaskQuery())).total == 3
    await looker.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o000, 0o400])
async def test_a_file_that_may_not_be_written_is_named(shared_folder, without_root, mode):
    path = shared_folder / "flow.db"
    await (await open_sqlite(url_of(path), StorageOptions())).close()
    path.chmod(mode)
    path.with_name("flow.db.lock").unlink()
    message = (await refusal(path, errors.StorageUnavailable)).message
    assert "writ" in message
    assert list(shared_folder.iterdir()) == [path]
    path.chmod(0o600)
    await (await open_sqlite(url_of(path), StorageOptions())).close()


async def test_a_read_only_filesystem_is_told(small_disk):
    path = small_disk / "flow.db"
    storage = await open_sqlite(url_of(path), StorageOptions())
    await insert(storage, sample_tree("t"))
    await storage.close()
    before = path.read_bytes()
    await (await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", small_disk)).wait()
    assert "Read-only file system" in (await refusal(path, errors.StorageUnavailable)).message
    assert path.read_bytes() == before


async def test_the_owner_is_spoken_to_on_a_socket_beside_the_file(storage, path):
    assert storage.endpoint == f"{path}.sock"
    owned = await refusal(path, errors.StorageOwned)
    assert (owned.pid, owned.endpoint) == (os.getpid(), storage.endpoint)


async def test_who_only_looks_owns_no_socket(storage, path):
    looker = await open_sqlite(url_of(path), READ_ONLY)
    assert looker.endpoint is None
    await looker.close()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(endpoint.tempfile, "gettempdir", lambda: str(folder))
    return folder


@pytest.fixture
def deep(tmp_path):
    """A file whose path is too long for a socket beside it."""
    return tmp_path / ("x" * LONGEST) / "flow.db"


async def test_the_socket_of_a_file_far_below_is_in_a_folder_of_this_user_alone(temporary, deep):
    storage = await open_sqlite(url_of(deep), StorageOptions())
    found = Path(storage.endpoint)
    assert found.parent.parent == temporary
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert found == socket_of(deep) != socket_of(deep.with_name("other.db"))
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(storage.endpoint)
    bound.close()
    assert (await refusal(deep, errors.StorageOwned)).endpoint == storage.endpoint
    await storage.close()


def test_a_path_as_long_as_may_be_has_its_socket_beside_it():
    fits = Path("/" + "x" * (LONGEST - len("/.sock")))
    assert socket_of(fits) == Path(f"{fits}.sock")
    assert socket_of(Path(f"{fits}x")).parent != fits.parent


async def test_in_a_folder_that_others_may_write_there_is_no_socket(temporary, deep):
    folder = temporary / f"apflow-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    storage = await open_sqlite(url_of(deep), StorageOptions())
    assert storage.endpoint is None
    assert (await refusal(deep, errors.StorageOwned)).endpoint is None
    await storage.close()


async def test_a_socket_that_a_killed_owner_left_is_removed(path):
    program = f"""
import asyncio, os, signal, socket
from apflow_hookspecs import StorageOptions
from apflow_sqlite import open_sqlite

async def main():
    storage = await open_sqlite({url_of(path)!r}, StorageOptions())
    socket.socket(socket.AF_UNIX).bind(storage.endpoint)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == -signal.SIGKILL
    left = path.with_name("flow.db.sock")
    assert left.is_socket()
    looker = await open_sqlite(url_of(path), READ_ONLY)
    await looker.close()
    assert left.is_socket()
    storage = await open_sqlite(url_of(path), StorageOptions())
    assert not left.exists()
    await storage.close()


async def test_a_file_in_the_sockets_place_is_left_there(path):
    other = path.with_name("flow.db.sock")
    other.write_text("mine")
    storage = await open_sqlite(url_of(path), StorageOptions())
    assert storage.endpoint is None
    assert other.read_text() == "mine"
    await storage.close()


async def test_an_owner_that_has_not_told_yet_is_unknown(storage, path):
    path.with_name("flow.db.lock").write_bytes(b"")
    owned = await refusal(path, errors.StorageOwned)
    assert (owned.pid, owned.endpoint) == (None, None)
    assert "process unknown" in owned.message
