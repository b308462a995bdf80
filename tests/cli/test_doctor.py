"""`apflow doctor`, and `apflow db` where the storage is in trouble: what is wrong, what to do; the file stays as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

TREE = [{"id": "root"}, {"id": "a", "parent_id": "root", "executor": "echo"}]


@pytest.fixture
def stored(apflow):
    assert apflow("tasks", "create", apflow.file(TREE)).code == 0
    return apflow


def troubles(done):
    return [finding for finding in done.json["findings"] if finding["state"] != "ok"]


def errors(done):
    return [(finding["about"], finding["text"]) for finding in done.json["findings"] if finding["state"] == "error"]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".db"}


def test_a_sound_house_is_told_line_by_line(stored):
    done = stored("doctor")
    assert (done.code, done.err) == (0, "")
    lines = [line.split(maxsplit=2)[:2] for line in done.out.splitlines()]
    assert ["ok", "python:"] in lines
    assert ["ok", "apflow:"] in lines
    assert ["ok", "configuration:"] in lines
    assert "plugin: probe (apflow-probe 1.0) is on" in done.out
    assert f"storage: is {stored.folder / 'flow.db'}" in done.out
    assert f"sqlite {sqlite3.sqlite_version}" in done.out
    assert done.out.splitlines()[-1].endswith("storage: can be written; no process has it open")
    report = stored("doctor", "--json").json
    assert report["ok"]
    assert [finding["state"] + finding["about"] for finding in report["findings"]] == [
        line[0] + line[1].rstrip(":") for line in lines
    ]


def test_a_storage_that_is_not_there_yet_is_no_trouble_and_is_not_made(apflow):
    done = apflow("doctor", "--db", "new/flow.db")
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith("storage: is not there yet; what writes to it first creates it")
    assert not (apflow.folder / "new").exists()
    missing = apflow("db", "check", "--db", "new/flow.db")
    assert missing.code == 3
    assert "is not there" in missing.err


def test_a_place_where_nothing_can_be_created_is_an_error(apflow):
    (apflow.folder / "file").touch()
    done = apflow("doctor", "--db", "file/flow.db", "--json")
    assert done.code == 3
    assert "cannot be created" in errors(done)[-1][1]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: os.truncate(path, path.stat().st_size // 2), "is damaged"),
        (lambda path: os.truncate(path, 1000), "left as it is"),
        (lambda path: path.write_bytes(b"something else entirely" * 1000), "is not a SQLite database, and was left as it is"),
    ],
)
def test_a_file_that_is_damaged_is_told_and_left_as_it_is(stored, harm, told):
    harm(stored.folder / "flow.db")
    before = content(stored.folder)
    for command in (["doctor"], ["db", "check"], ["tasks", "list"], ["db", "migrate"], ["db", "backup", "copy.db"]):
        done = stored(*command)
        assert done.code == 3, command
        assert told in done.out + done.err, command
    assert content(stored.folder) == before


def test_a_file_of_a_newer_version_is_told_and_left_as_it_is(stored):
    with closing(sqlite3.connect(stored.folder / "flow.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = content(stored.folder)
    for command in (["doctor"], ["db", "check"], ["run", stored.file(TREE)]):
        done = stored(*command)
        assert done.code == 3
        assert "has schema 99" in done.out + done.err
        assert "install the newer version" in done.out + done.err
    assert content(stored.folder) == before


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="mounting a disk needs root")
def test_a_full_disk_is_told(stored):
    disk = stored.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        shutil.copy(stored.folder / "flow.db", disk / "flow.db")
        with pytest.raises(OSError, match="No space left"):
            (disk / "fill").write_bytes(bytes(1 << 22))
        before = content(disk)
        done = stored("doctor", "--db", "disk/flow.db", "--json")
        assert done.code == 3
        assert ("storage", f"the disk of {disk} is full (0.0 MiB are left); make room") in errors(done)
        refused = stored("run", stored.file(TREE), "--db", "disk/flow.db")
        assert refused.code == 3
        assert "the disk is full; make room and try again" in refused.err
        checked = stored("db", "check", "--db", "disk/flow.db")
        assert (checked.code, checked.out) == (3, "")
        assert content(disk) == before
        (disk / "fill").unlink()
        assert stored("tasks", "list", "--db", "disk/flow.db").code == 0
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_plugin_that_is_off_is_a_warning(apflow_with):
    program = apflow_with("broken", broken="1 / 0")
    done = program("doctor", "--json")
    assert done.code == 0
    (finding,) = [finding for finding in troubles(done) if finding["about"] == "plugin"]
    assert finding["state"] == "warning"
    assert finding["text"].startswith("broken (apflow-broken 1.0) is off: ")
    assert "ZeroDivisionError" in finding["text"]
    assert finding["text"].endswith("mend or uninstall it, or name it in plugins.block")


def test_a_conflict_of_plugins_is_an_error(apflow_with):
    source = (
        "from apflow_hookspecs import executor, hookimpl\n@executor('echo')\nasync def echo():\n    return 1\n"
        "@hookimpl\ndef apflow_executors():\n    yield echo\n"
    )
    done = apflow_with("second", second=source)("doctor", "--json")
    assert done.code == 2
    (conflict,) = [text for about, text in errors(done) if about == "plugin"]
    assert "probe" in conflict
    assert "second" in conflict
    assert [finding["text"] for finding in troubles(done) if finding["state"] == "warning"] == [
        f"{label} is on: {conflict}" for label in ("probe (apflow-probe 1.0)", "second (apflow-second 1.0)")
    ]


def test_two_plugins_with_one_executor_are_listed_with_their_conflict(apflow_with):
    source = (
        "from apflow_hookspecs import executor, hookimpl\n@executor('echo')\nasync def echo():\n    return 1\n"
        "@hookimpl\ndef apflow_executors():\n    yield echo\n"
    )
    plugins = apflow_with("second", second=source)("plugins", "list", "--json").json["plugins"]
    told = {plugin["name"]: plugin["reason"] for plugin in plugins if plugin["name"] in ("probe", "second")}
    assert told["probe"] == told["second"]
    assert told["probe"].startswith("the executor 'echo' is provided by two plugins, probe ")


LOCKED = """
import threading
from apflow_hookspecs import executor, hookimpl

@executor("locked")
async def locked(lock: threading.Thread) -> None: ...

@hookimpl
def apflow_executors():
    yield locked
"""


def test_an_executor_that_cannot_be_called_is_told_by_its_plugin_and_parameter(apflow_with):
    program = apflow_with("locker", locker=LOCKED)
    rule = "executor 'locked', parameter 'lock': no JSON value can be turned into <class 'threading.Thread'>"
    done = program("doctor", "--json")
    assert [finding["text"] for finding in troubles(done)] == [f"locker (apflow-locker 1.0) has what cannot be called: {rule}"]
    refused = program("run", program.file([{"id": "a", "executor": "locked"}]))
    assert refused.code == 2
    assert refused.err == (
        f"error: task 'a', executor = 'locked': cannot be called, as provided by plugin locker (apflow-locker 1.0): {rule}\n"
    )


def test_a_configuration_that_does_not_fit_is_an_error_for_each_problem(apflow):
    (apflow.folder / "apflow.toml").write_text('max_concurrency = "many"\nmax_concurency = 1\n')
    done = apflow("doctor", "--json")
    assert done.code == 2
    assert [about for about, _ in errors(done)] == ["configuration", "configuration"]
    nobodys = apflow("doctor", "--json", "--db", "nowhere://x", "--config", os.devnull)
    assert nobodys.code == 2
    assert "nowhere" in errors(nobodys)[0][1]


def test_the_schema_is_brought_up_to_date_once(apflow):
    assert apflow("db", "migrate").out != "up to date\n"
    assert apflow("db", "migrate").out == "up to date\n"
    assert apflow("db", "migrate", "--json").json == {"steps": []}


def test_a_copy_holds_what_the_storage_holds_and_replaces_nothing(stored):
    assert stored("db", "backup", "copy.db", "--json").json == {"target": str(stored.folder / "copy.db")}
    assert stored("tasks", "count", "--json", "--db", "copy.db").json["total"] == 2
    again = stored("db", "backup", "copy.db")
    assert again.code == 3
    assert "is there already" in again.err


def test_a_configuration_with_which_no_engine_starts_is_told(stored):
    (stored.folder / "apflow.toml").write_text("[policies.patience]\nmax_attempts = 3\n")
    done = stored("doctor", "--json")
    assert done.code == 2
    told = "policies.patience = {'max_attempts': 3}: no plugin provides the policy 'patience'"
    assert [text for about, text in errors(done) if about == "configuration" and text.startswith(told)]
    refused = stored("run", stored.file(TREE))
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err


def test_names_in_the_configuration_that_mean_nothing_are_told(stored):
    (stored.folder / "apflow.toml").write_text("[limits]\necho = 1\nehco = 1\n")
    done = stored("doctor", "--block", "stdoi", "--block", "Apflow_Aggregate", "--json")
    warnings = [finding["text"] for finding in done.json["findings"] if finding["state"] == "warning"]
    assert [text for text in warnings if "names" in text] == [
        "plugins.block names 'stdoi', and no such plugin is installed",
        "limits names 'ehco', and no plugin provides such an executor",
    ]
    assert done.code == 0
