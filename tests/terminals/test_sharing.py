"""One file, many terminals: whatever runs, other commands on that file just work."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import threading
from contextlib import suppress

import pytest


@pytest.fixture
def long(terminals):
    """The run of a tree with a task that goes on until it is released."""
    running = terminals.open("run", "--keep-ids", terminals.tree("long", terminals.task("slow")))
    running.until("slow started")
    return running


def test_what_is_stored_can_be_read_while_a_run_goes_on(terminals, long):
    listed = terminals("tasks", "list")
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.splitlines()[1].split()[:2] == ["long", "in_progress"]
    assert terminals("tasks", "count", "--json").json["counts"] == {"in_progress": 2}
    assert [line.split()[:2] for line in terminals("tasks", "children", "long").out.splitlines()[1:]] == [
        ["slow", "in_progress"]
    ]
    assert terminals("tasks", "tree", "long").out.splitlines() == ["long  in_progress, 0%", "└── slow  in_progress"]
    assert terminals("tasks", "get", "slow", "--json").json["status"] == "in_progress"
    assert terminals("tasks", "history", "slow", "--json").json["attempts"][0]["outcome"] == "in_progress"
    assert terminals("db", "check").out == "ok\n"
    assert terminals("db", "info", "--json").json["tasks"] == 2
    assert terminals("db", "migrate").out == "up to date\n"
    assert terminals("tasks", "delete", "long").code == 2
    terminals.release("slow")
    assert long.finish().code == 0


def test_a_tree_is_watched_from_another_terminal_to_its_end(terminals, long):
    plain, machine = terminals.open("tasks", "watch", "slow"), terminals.open("tasks", "watch", "long", "--json")
    plain.until("slow started")
    terminals.release("slow")
    seen = plain.finish()
    assert (seen.code, seen.err) == (0, "")
    assert seen.out.splitlines()[-1].endswith("tree completed")
    events = [json.loads(line) for line in machine.finish().out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("tree_created", "tree_settled")
    assert terminals("tasks", "watch", "long", "--json").out.splitlines() == [
        json.dumps(e, separators=(",", ":")) for e in events
    ]
    assert long.finish().code == 0


def test_a_cancellation_from_another_terminal_ends_the_run(terminals, long):
    done = terminals("tasks", "cancel", "long")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["ID", "long", "slow"]
    ended = long.finish()
    assert ended.code == 1
    assert "cancelled: 2 tasks, 2 cancelled" in ended.out


def test_a_second_run_hands_its_tree_over_and_follows_it(terminals, long):
    second = terminals("run", "--keep-ids", terminals.tree("short", terminals.task("quick", "note")))
    assert (second.code, second.err) == (0, "")
    told = [line.split(maxsplit=1)[1] for line in second.out.splitlines()]
    assert told[0] == "tree started"
    assert told.index("quick started") < told.index("quick completed") < told.index("tree completed")
    assert second.out.splitlines()[-1].startswith("completed: 2 tasks, 2 completed in ")
    again = terminals("run", "--json", terminals.tree("short", terminals.task("quick", "note")))
    assert (again.code, again.err) == (0, "")
    assert list(again.json) == ["id", "status", "progress", "run", "tasks"]
    terminals.release("slow")
    assert long.finish().code == 0


def test_what_is_wrong_with_a_tree_is_told_as_if_it_ran_here(terminals, long):
    bad = terminals.file(
        [{"id": "r"}, {"id": "x", "parent_id": "r", "executor": "hodl"}, {"id": "y", "parent_id": "r", "prio": 1}]
    )
    handed_over = terminals("run", bad)
    elsewhere = terminals("run", bad, "--db", "other.db")
    assert (handed_over.code, handed_over.err) == (2, elsewhere.err)
    assert "task 'y'" in handed_over.err
    nobodys = terminals("tasks", "get", "nobody")
    assert (nobodys.code, nobodys.err) == (2, "error: there is no task 'nobody'\n")


def test_the_time_limit_of_a_run_elsewhere_cancels_its_tree(terminals, long):
    late = terminals("run", "--timeout", "0.3", terminals.tree("late", terminals.task("later")))
    assert late.code == 1
    assert late.err == "error: not done within 0.30 s, and cancelled\n"
    assert "cancelled: 2 tasks, 2 cancelled" in late.out


def test_the_owner_stays_until_what_was_handed_over_has_ended(terminals, long):
    second = terminals.open("run", terminals.tree("other", terminals.task("else")))
    second.until("else started")
    terminals.release("slow")
    long.until("done; 1 tree of other commands is still run here, and is waited for", "err")
    assert long.process.poll() is None
    terminals.release("else")
    assert second.finish().code == 0
    ended = long.finish()
    assert ended.code == 0
    assert "completed: 2 tasks" in ended.out
    assert terminals.journal() == ["start slow", "start else", "end slow", "end else"]


def test_a_tree_can_be_handed_over_without_waiting(terminals, long):
    assert terminals("tasks", "create", terminals.tree("later", terminals.task("b"))).code == 0
    done = terminals("tasks", "execute", "later", "--no-wait")
    assert (done.code, done.out) == (0, "started: tree later\n")
    terminals.started("b")
    terminals.release("b", "slow")
    assert long.finish().code == 0
    assert terminals("tasks", "get", "later", "--json").json["tree"]["status"] == "completed"


def test_without_an_owner_nothing_can_be_handed_over(terminals):
    terminals("tasks", "create", terminals.tree("later", terminals.task("b")))
    done = terminals("tasks", "execute", "later", "--no-wait")
    assert done.code == 2
    assert "leave out --no-wait" in done.err
    assert terminals("tasks", "get", "later", "--json").json["tree"]["status"] == "pending"


def test_commands_that_come_at_once_wait_for_each_other(terminals):
    terminals("tasks", "create", terminals.tree("tree", terminals.task("a", "note")))
    others = [terminals.open("tasks", "get", "tree") for _ in range(6)]
    running = terminals.open("run", terminals.tree("tree", terminals.task("a", "note")))
    assert [other.finish().code for other in others] == [0] * 6
    assert running.finish().code == 0


def test_an_interrupted_run_cancels_its_tree_and_no_other(terminals, long):
    second = terminals.open("run", "--keep-ids", terminals.tree("other", terminals.task("else")))
    second.until("else started")
    second.send(signal.SIGINT)
    ended = second.finish()
    assert ended.code == 130
    assert ended.err.splitlines() == [f"interrupted: cancelling tree other in process {long.pid}", "error: interrupted"]
    assert terminals("tasks", "get", "other", "--json").json["tree"]["status"] == "cancelled"
    terminals.release("slow")
    assert long.finish().code == 0


def test_following_what_another_process_runs_ends_without_ending_it(terminals, long):
    second = terminals.open("resume", "long")
    second.until(f"process {long.pid} runs 1 tree that is shown here", "err")
    second.send(signal.SIGTERM)
    ended = second.finish()
    assert ended.code == 130
    assert ended.err.splitlines()[1:] == [f"process {long.pid} goes on with tree long", "error: interrupted"]
    assert terminals("tasks", "get", "slow", "--json").json["status"] == "in_progress"
    terminals.release("slow")
    assert long.finish().code == 0


def test_an_owner_that_does_not_answer_is_named(terminals, long):
    long.send(signal.SIGSTOP)
    done = terminals("tasks", "list")
    long.send(signal.SIGCONT)
    assert done.code == 4
    assert f"process {long.pid}" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture
def vanishing(terminals):
    """What is asked of an owner that goes away instead of answering, as one that is killed at that moment."""
    asked, path = [], str(terminals.folder / "vanishing")

    def serve(server):
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, connection.makefile("rwb") as stream:
                    stream.write(b'{"method": "hello", "params": {"pid": 1}}\n')
                    stream.flush()
                    asked.append(json.loads(stream.readline())["method"])

    with (terminals.folder / "flow.db.lock").open("w") as lock, socket.socket(socket.AF_UNIX) as server:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n{path}")
        lock.flush()
        server.bind(path)
        server.listen()
        threading.Thread(target=serve, args=[server], daemon=True).start()
        yield asked
        server.shutdown(socket.SHUT_RDWR)


def test_a_change_that_was_not_acknowledged_is_not_made_twice(terminals, vanishing):
    tree = terminals.tree("tree", terminals.task("a", "note"))
    for command in (["run", tree], ["tasks", "create", tree], ["tasks", "cancel", "tree"]):
        done = terminals(*command)
        assert (done.code, done.err) == (
            4,
            "error: the process that owns the storage ended before it answered; see what is done\n",
        )
    assert vanishing == ["tasks.create", "tasks.create", "tasks.cancel"]


def test_a_backup_is_made_while_the_run_goes_on(terminals, long):
    done = terminals("db", "backup", "copy.db")
    assert (done.code, done.out) == (0, f"copied to {terminals.folder / 'copy.db'}\n")
    assert terminals("db", "check", "--db", "copy.db").out == "ok\n"
    copy = terminals("tasks", "count", "--json", "--db", "copy.db")
    assert copy.json == {"total": 2, "counts": {"in_progress": 1, "pending": 1}}
    assert copy.err == (
        "recovered 1 task that an earlier process left in progress; 1 tree is not finished: `apflow resume` goes on with it\n"
    )
    assert terminals("db", "backup", "copy.db").code == 3


def test_the_doctor_sees_who_has_the_storage_open(terminals, long):
    done = terminals("doctor")
    assert done.code == 0
    assert f"storage: process {long.pid} has it open, and answers" in done.out
