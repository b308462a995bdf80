"""The process that owns the storage is gone: the next command recovers, and whoever followed a tree goes on with it."""

from __future__ import annotations

import signal

from programs import Running


def run(terminals, root, *tasks) -> Running:
    return terminals.open("run", "--keep-ids", terminals.tree(root, *tasks))


def kill(running: Running) -> None:
    running.send(signal.SIGKILL)
    running.finish()


def test_after_a_kill_the_next_command_recovers_and_says_so_and_resume_finishes(terminals):
    running = run(terminals, "long", terminals.task("done", "note"), terminals.task("a"), terminals.task("b"))
    running.until("done completed")
    terminals.started("a", "b")
    running.until("a started")
    running.until("b started")
    kill(running)
    seen = terminals("doctor")
    assert (seen.code, seen.out.splitlines()[-1]) == (
        0,
        "warning  storage: 1 tree is not finished, and nobody runs it; `apflow resume` goes on with it",
    )
    listed = terminals("tasks", "list")
    assert listed.code == 0
    assert listed.err == (
        "recovered 2 tasks that an earlier process left in progress; 1 tree is not finished: `apflow resume` goes on with it\n"
    )
    again = terminals("tasks", "list")
    assert (again.out, again.err) == (listed.out, "")
    terminals.release("a", "b")
    resumed = terminals("resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.out.splitlines()[-1].startswith("completed: 4 tasks, 4 completed in ")
    assert sorted(terminals.journal()) == sorted(
        ["start done", "end done", "start a", "start a", "end a", "start b", "start b", "end b"]
    )
    history = terminals("tasks", "history", "a", "--json").json["attempts"]
    assert [(attempt["run"], attempt["attempt"], attempt["outcome"]) for attempt in history] == [
        (1, 1, "recovered"),
        (1, 1, "completed"),
    ]


def test_resume_goes_on_with_one_tree_or_with_all(terminals):
    for root, key in (("one", "a"), ("two", "b"), ("three", "c")):
        running = run(terminals, root, terminals.task(key))
        running.until(f"{key} started")
        kill(running)
    terminals.release("a", "b", "c")
    one = terminals("resume", "two")
    assert one.code == 0
    assert "completed: 2 tasks, 2 completed" in one.out
    assert one.err == "recovered 1 task that an earlier process left in progress\n"
    rest = terminals("resume")
    assert (rest.code, rest.err) == (0, "")
    lines = [line.split(maxsplit=1)[1] for line in rest.out.splitlines()]
    assert {"one: a completed", "one: tree completed", "three: tree completed"} <= set(lines)
    assert [line.split("tree ")[1] for line in rest.out.splitlines()[-2:]] == ["one)", "three)"]
    nothing = terminals("resume")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "there is nothing to go on with\n")
    settled = terminals("resume", "two")
    assert (settled.code, settled.err) == (0, "tree 'two' is completed; there is nothing to go on with\n")
    assert terminals("resume", "nobody").code == 2


def test_a_resumed_tree_that_does_not_complete_exits_1_and_is_json(terminals):
    running = run(
        terminals, "long", terminals.task("a"), {"id": "bad", "executor": "command_executor", "inputs": {"command": "false"}}
    )
    running.until("bad failed")
    running.until("a started")
    kill(running)
    terminals.release("a")
    done = terminals("resume", "--json")
    assert done.code == 1
    (tree,) = done.json["trees"]
    assert list(tree) == ["id", "status", "progress", "run", "tasks"]
    assert {task["key"]: task["status"] for task in tree["tasks"]} == {"long": "failed", "a": "completed", "bad": "failed"}


def test_whoever_follows_a_tree_takes_over_when_its_owner_is_killed(terminals):
    owner = run(terminals, "first", terminals.task("a"))
    owner.until("a started")
    follower = run(terminals, "second", terminals.task("b"), terminals.task("c", "note", dependencies=["b"]))
    follower.until("b started")
    kill(owner)
    follower.until(f"process {owner.pid} is gone; this one goes on", "err")
    terminals.release("b")
    done = follower.finish()
    assert done.code == 0
    assert "completed: 3 tasks, 3 completed" in done.out
    assert sum("tree started" in line for line in done.out.splitlines()) == 1
    assert terminals.journal() == ["start a", "start b", "start b", "end b", "start c", "end c"]
    assert terminals("tasks", "get", "first", "--json").json["tree"]["status"] == "in_progress"
    terminals.release("a")
    assert terminals("resume").code == 0


def test_of_two_followers_one_takes_over_and_the_other_goes_through_it(terminals):
    owner = run(terminals, "first", terminals.task("a"))
    owner.until("a started")
    followers = [run(terminals, root, terminals.task(key)) for root, key in (("second", "b"), ("third", "c"))]
    for follower, key in zip(followers, "bc", strict=True):
        follower.until(f"{key} started")
    kill(owner)
    told = [follower.until(f"process {owner.pid} is gone; ", "err") for follower in followers]
    assert sum("this one goes on" in line for line in told) == 1
    terminals.wait(lambda: terminals.journal().count("start b") == terminals.journal().count("start c") == 2, "that both go on")
    terminals.release("b", "c")
    assert [follower.finish().code for follower in followers] == [0, 0]
    assert sorted(terminals.journal()) == sorted(["start a", *["start b", "start c"] * 2, "end b", "end c"])


def test_a_watcher_goes_on_watching_what_another_process_took_over(terminals):
    owner = run(terminals, "first", terminals.task("a"))
    owner.until("a started")
    follower = run(terminals, "second", terminals.task("b"))
    follower.until("b started")
    terminals.release("a")
    owner.until("done; 1 tree", "err")
    watcher = terminals.open("tasks", "watch", "second")
    watcher.until("b started")
    kill(owner)
    follower.until("this one goes on", "err")
    terminals.wait(lambda: terminals.journal().count("start b") == 2, "that it goes on")
    terminals.release("b")
    assert follower.finish().code == 0
    ended = watcher.finish()
    lines = [line.split(maxsplit=1)[1] for line in ended.out.splitlines()]
    assert lines.count("tree created") == lines.count("tree started") == 1


def test_an_owner_that_is_told_to_end_leaves_what_was_handed_over_to_its_follower(terminals):
    terminals.configure("drain_timeout = 0.5\n")
    owner = run(terminals, "first", terminals.task("a"))
    owner.until("a started")
    follower = run(terminals, "second", terminals.task("b"))
    follower.until("b started")
    owner.send(signal.SIGTERM)
    assert owner.finish().code == 130
    follower.until(f"process {owner.pid} is gone; this one goes on", "err")
    terminals.release("b")
    done = follower.finish()
    assert (done.code, len(done.err.splitlines())) == (0, 1)
    assert terminals("tasks", "get", "b", "--json").json["recoveries"] == 0


def test_a_tree_that_comes_while_the_owner_drains_waits_for_the_storage(terminals):
    terminals.configure("drain_timeout = 60\n")
    owner = run(terminals, "first", terminals.task("a"))
    owner.until("a started")
    owner.send(signal.SIGTERM)
    owner.until("interrupted: 1 task may end within 1:00", "err")
    late = run(terminals, "second", terminals.task("b", "note"))
    late.until("the process that owns the storage is about to end; waiting for it", "err")
    assert terminals("tasks", "list", "--json").json["total"] == 1
    terminals.release("a")
    assert owner.finish().code == 130
    assert late.finish().code == 0
    assert terminals.journal() == ["start a", "end a", "start b", "end b"]
