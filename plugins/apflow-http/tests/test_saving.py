"""Bodies that become files under the operator's folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from apflow_hookspecs import TaskContext, TaskFailed
from apflow_http import Options
from apflow_http.saving import NewFile

from .conftest import answer, task_of

UNNAMED = hasattr(os, "O_TMPFILE")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def save(fetch, root):
    """Fetch a path into a file."""
    return lambda save_to, path="/", **inputs: fetch(path, Options(root=str(root)), save_to=save_to, **inputs)


def found(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


async def test_a_body_becomes_a_file(save, server, root):
    body = os.urandom(1_000_000)
    server.answers["/"] = answer(body)
    result = await save("a/b/file.bin")
    assert (root / "a/b/file.bin").read_bytes() == body
    assert {name: result[name] for name in ("path", "size", "sha256")} == {
        "path": "a/b/file.bin",
        "size": 1_000_000,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    assert not {"json", "text", "base64"} & result.keys()


async def test_files_and_folders_are_the_users_alone(save, root):
    await save("a/file")
    assert [stat.S_IMODE((root / name).stat().st_mode) for name in ("a", "a/file")] == [0o700, 0o600]


async def test_a_file_that_is_there_is_replaced_and_other_links_to_it_are_not(save, root):
    (root / "file").write_text("old")
    (root / "link").hardlink_to(root / "file")
    await save("file")
    assert ((root / "file").read_text(), (root / "link").read_text()) == ('{"a": 1}', "old")


async def test_an_answer_without_a_body_is_an_empty_file(save, server, root):
    server.answers["/"] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    assert (await save("file"))["size"] == 0
    assert (root / "file").read_bytes() == b""


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["%2e%2e", "..a", "a b", "größe", ".hidden", "-rf", "x" * 255])
async def test_a_name_is_taken_as_it_is_written(save, root, name):
    await save(f"{name}/{name}")
    assert found(root) == [name, f"{name}/{name}"]


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "folder"])
async def test_what_is_no_plain_file_is_not_replaced(save, root, tmp_path, kind):
    outside, place = tmp_path / "outside", root / "place"
    outside.write_text("mine")
    {
        "symlink": lambda: place.symlink_to(outside),
        "dangling": lambda: place.symlink_to(tmp_path / "nowhere"),
        "fifo": lambda: os.mkfifo(place),
        "folder": place.mkdir,
    }[kind]()
    with pytest.raises(TaskFailed, match="save_to names 'place', which is there and no plain file") as failure:
        await save("place")
    assert failure.value.error == "denied"
    assert (outside.read_text(), found(root)) == ("mine", ["place"])
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("target", ["..", "/", "."])
async def test_a_folder_that_is_a_symbolic_link_is_not_followed(save, root, tmp_path, target):
    (root / "link").symlink_to(target)
    with pytest.raises(TaskFailed, match="leads through 'link', which is no folder") as failure:
        await save("link/file")
    assert failure.value.error == "denied"
    assert (found(root), [path.name for path in tmp_path.iterdir()]) == (["link"], ["root"])


async def test_a_file_on_the_way_is_no_folder(save, root):
    (root / "file").touch()
    with pytest.raises(TaskFailed, match="leads through 'file', which is no folder"):
        await save("file/a")


async def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere_else(save, server, root, tmp_path):
    (root / "a").mkdir()
    (tmp_path / "outside").mkdir()
    server.unending["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 400_000
    saving = asyncio.create_task(save("a/file", timeout=0.5))
    await until_there_is_a_part_in(root / "a")
    (root / "a").rename(tmp_path / "moved")
    (root / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(TaskFailed):
        await saving
    assert (found(tmp_path / "outside"), found(tmp_path / "moved")) == ([], [])


def parts_in(folder):
    """What is written in a folder: files with a name, and those of this process without one."""
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            if str(descriptor.readlink()).startswith(f"{folder}/#"):
                yield descriptor
    yield from found(folder) if folder.is_dir() else ()


async def until_there_is_a_part_in(folder):
    async with asyncio.timeout(10):
        while not any(parts_in(folder)):  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0)


@pytest.fixture(params=["unnamed", "no flag", "no such file system"] if UNNAMED else ["no flag"])
def way(request, monkeypatch):
    """How a file is written: without a name, and with one as on a system or a file system that must have names."""
    opened = os.open

    def unsupported(path, flags, *rest, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return opened(path, flags, *rest, **options)

    if request.param == "no flag":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param == "no such file system":
        monkeypatch.setattr(os, "open", unsupported)
    return request.param


def test_until_it_is_whole_a_file_has_no_name_where_that_can_be(root, way):
    (root / "file").write_text("old")
    file = NewFile(str(root), "file")
    file.begin()
    file.write(b"new")
    assert len(found(root)) == (1 if way == "unnamed" else 2)
    file.finish()
    file.close()
    assert (found(root), (root / "file").read_text()) == (["file"], "new")


KILLED = """
import os, signal, sys
from apflow_http.saving import NewFile

file = NewFile(sys.argv[1], "file")
file.begin()
file.write(b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not UNNAMED, reason="needs files without a name")
def test_of_a_process_that_is_killed_no_file_is_left(root):
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False, timeout=60)
    assert (done.returncode, found(root)) == (-signal.SIGKILL, [])


def test_a_folder_that_another_request_made_and_took_away_is_made_again(root):
    first, second = NewFile(str(root), "new/a"), NewFile(str(root), "new/b")
    first.begin()
    second.begin()
    first.close()
    second.finish()
    second.close()
    assert found(root) == ["new", "new/b"]


async def test_of_a_request_that_fails_nothing_is_left(save, server, root):
    server.answers["/cut"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbe"
    server.answers["/503"] = answer("no", 503)
    (root / "kept").write_text("old")
    for path, save_to in (("/cut", "a/b/file"), ("/503", "c/file"), ("/cut", "kept")):
        with pytest.raises(TaskFailed):
            await save(save_to, path)
    assert (found(root), (root / "kept").read_text()) == (["kept"], "old")


async def test_of_a_request_that_is_cancelled_nothing_is_left(way, save, server, root):
    server.unending["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 400_000
    saving = asyncio.create_task(save("a/b/file"))
    await until_there_is_a_part_in(root / "a/b")
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert found(root) == []
    await asyncio.wait_for(server.left.wait(), 10)


async def test_a_file_has_a_bound_of_its_own(fetch, server, root):
    server.answers["/"] = answer("x" * 1000)
    await fetch("/", Options(root=str(root), max_file_bytes=1000), save_to="fits")
    with pytest.raises(TaskFailed, match="999 bytes"):
        await fetch("/", Options(root=str(root), max_file_bytes=999), save_to="too-large")
    assert found(root) == ["fits"]


async def test_the_bound_of_the_guard_does_not_bind_a_file(executor, server, root):
    executor.guard = type(executor.guard)(type(executor.guard.options)(allow=(server.place,), max_bytes=10))
    executor.options = Options(root=str(root))
    server.answers["/"] = answer("x" * 1000)
    inputs = {"url": server.origin, "save_to": "file"}
    assert (await executor.execute(inputs, TaskContext(task=task_of(inputs))))["size"] == 1000


async def test_a_folder_of_the_operators_that_is_gone_is_told(fetch, tmp_path):
    (tmp_path / "gone").mkdir()
    options = Options(root=str(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    with pytest.raises(TaskFailed, match="save_to = 'file': No such file or directory"):
        await fetch("/", options, save_to="file")


async def test_many_files_are_saved_at_once_into_one_new_folder(save, root):
    await asyncio.gather(*(save(f"new/{n}") for n in range(8)))
    assert found(root) == ["new", *(f"new/{n}" for n in range(8))]


def test_a_step_that_comes_after_the_end_does_nothing(root):
    file = NewFile(str(root), "a/file")
    file.close()
    file.begin()
    file.write(b"late")
    file.finish()
    assert found(root) == []
