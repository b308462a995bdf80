"""SIGTERM and SIGINT: nothing more starts, what runs may end, the rest is left to another process, no process stays behind."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

KINDS = ("hold", "deaf", "thread", "pool", "command")
SHORT = "drain_timeout = 0.5\ncancel_grace = 0.5\nmax_concurrency = 200\n"


def labours(terminals, kinds):
    """A task for each kind, and the keys."""
    keys = [f"{kind}-{n}" for n, kind in enumerate(kinds)]
    tasks = [
        terminals.command(key) if kind == "command" else terminals.task(key, kind)
        for key, kind in zip(keys, kinds, strict=True)
    ]
    return tasks, keys


def started(terminals, command, tasks, keys):
    """A `run` or a `resume` of these tasks, all of which are running."""
    first = terminals.open("run", "--keep-ids", terminals.tree("tree", *tasks))
    for key in keys:
        first.until(f"{key} started")
    terminals.started(*keys)
    if command == "run":
        return first
    first.send(signal.SIGKILL)
    first.finish()
    (terminals.folder / "journal").rename(terminals.folder / "journal-before")
    second = terminals.open("resume", "tree")
    terminals.started(*keys)
    return second


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("command", ["run", "resume"])
@pytest.mark.parametrize(
    "kinds",
    [*[(kind,) for kind in KINDS], ("hold", "deaf", "thread") * 25 + ("pool",) * 5 + ("command",) * 20],
    ids=lambda kinds: "+".join(sorted(set(kinds))),
)
def test_what_does_not_end_in_time_is_left_and_nothing_stays_behind(terminals, command, kinds):
    terminals.configure(SHORT)
    tasks, keys = labours(terminals, kinds)
    running = started(terminals, command, tasks, keys)
    children = [child.pid for child in psutil.Process(running.pid).children(recursive=True)]
    running.send(signal.SIGTERM)
    ended = running.finish()
    assert ended.code == 130
    count = f"{len(keys)} task{'s' * (len(keys) > 1)}"
    assert ended.err.splitlines()[-3:] == [
        f"interrupted: {count} may end within 0.50 s, and nothing more starts; once more ends it at once",
        "tree tree is not finished: `apflow resume tree` goes on with it",
        "error: interrupted",
    ]
    terminals.wait(lambda: all(gone(pid) for pid in (*children, *terminals.pids())), "that no process stays")
    left = terminals("tasks", "count", "--json")
    assert (left.json["counts"], left.err) == ({"in_progress": 1, "pending": len(keys)}, "")

    terminals.release(*keys)
    assert terminals("resume").code == 0
    assert sorted(terminals.journal()) == sorted([f"{word} {key}" for word in ("start", "start", "end") for key in keys])
    assert terminals("tasks", "count", "--json").json["counts"] == {"completed": len(keys) + 1}


def test_a_tree_that_only_waits_is_left_at_once(terminals):
    file = terminals.tree("tree", terminals.task("a", "nap"))
    running = terminals.open("run", "--keep-ids", file)
    running.until("a waits until")
    running.send(signal.SIGINT)
    ended = running.finish()
    assert (ended.code, ended.err.splitlines()) == (
        130,
        ["tree tree is not finished: `apflow resume tree` goes on with it", "error: interrupted"],
    )
    resumed = terminals.open("resume")
    terminals.wait(lambda: f"process {resumed.pid} has it open, and answers" in terminals("doctor").out, "that it goes on")
    resumed.send(signal.SIGINT)
    assert resumed.finish().code == 130
    assert terminals("tasks", "get", "a", "--json").json["status"] == "waiting"


def test_what_ends_in_time_counts_and_nothing_new_starts(terminals):
    terminals.configure("drain_timeout = 60\n")
    tasks = [terminals.task("a"), terminals.task("b", "note", dependencies=["a"])]
    running = started(terminals, "run", tasks, ["a"])
    running.send(signal.SIGTERM)
    running.until("interrupted: 1 task may end within 1:00", "err")
    terminals.release("a")
    running.until("a completed")
    assert running.finish().code == 130
    assert terminals.journal() == ["start a", "end a"]
    assert terminals("resume").code == 0
    assert terminals.journal() == ["start a", "end a", "start b", "end b"]


def test_a_tree_that_ends_in_time_is_told_and_the_exit_code_is_that_of_a_signal(terminals):
    terminals.configure("drain_timeout = 60\n")
    running = started(terminals, "run", [terminals.task("a")], ["a"])
    running.send(signal.SIGTERM)
    running.until("interrupted: 1 task may end", "err")
    terminals.release("a")
    ended = running.finish()
    assert ended.code == 130
    assert ended.out.splitlines()[-1].startswith("completed: 2 tasks, 2 completed")
    assert "not finished" not in ended.err


def test_a_stored_tree_that_is_executed_is_left_likewise(terminals):
    terminals.configure(SHORT)
    terminals("tasks", "create", terminals.tree("tree", terminals.task("a")))
    running = terminals.open("tasks", "execute", "tree")
    running.until("a started")
    running.send(signal.SIGINT)
    assert running.finish().code == 130
    assert terminals("tasks", "get", "a", "--json").json["status"] == "pending"


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_signal_ends_the_process_at_once_and_its_children_too(terminals, kind):
    terminals.configure("drain_timeout = 3600\ncancel_grace = 3600\n")
    tasks, keys = labours(terminals, [kind])
    running = started(terminals, "run", tasks, keys)
    children = [child.pid for child in psutil.Process(running.pid).children(recursive=True)]
    running.send(signal.SIGTERM)
    running.until("once more ends it at once", "err")
    running.send(signal.SIGTERM)
    assert running.finish().code == 130
    terminals.wait(lambda: all(gone(pid) for pid in (*children, *terminals.pids())), "that no process stays")
    assert terminals("db", "check").code == 0
    assert "recovered 1 task " in terminals("tasks", "list").err


@pytest.mark.parametrize("kind", ["deaf", "thread", "pool"])
def test_a_task_that_cannot_be_ended_does_not_keep_the_program_from_ending(terminals, kind):
    terminals.configure("cancel_grace = 0.2\n")
    done = terminals("run", terminals.tree("tree", terminals.task("a", kind)), "--timeout", "0.5")
    assert done.code == 1
    assert "cancelled" in done.out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Unix")
def test_looking_at_something_is_interrupted_at_once(terminals):
    running = terminals.open("run", "--keep-ids", terminals.tree("tree", terminals.task("a")))
    running.until("a started")
    watching = terminals.open("tasks", "watch", "tree")
    watching.until("a started")
    watching.send(signal.SIGINT)
    ended = watching.finish()
    assert (ended.code, ended.err) == (130, "error: interrupted\n")
    terminals.release("a")
    assert running.finish().code == 0
