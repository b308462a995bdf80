"""Running a stored tree again, all of it or a part, in place."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import Work, group, run, task

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import TaskStatus
from apflow_hookspecs.errors import AlreadyExecuting, CannotDelete, InvalidParams, InvalidTransition, NotFound

TREE = [
    group("root"),
    task("a", "work"),
    task("b", "work", dependencies=["a"]),
    task("c", "work", dependencies=["b"]),
    task("d", "work"),
    task("e", "work", dependencies=[{"id": "b", "required": False}, "d"]),
]


def statuses(tree):
    return {t.key: t.status.value for t in tree}


async def again(engine, tree, task_id=None, **options):
    """Execute a tree, or a task of it, to the end."""
    async with asyncio.timeout(20):
        await engine.manager.execute(task_id or tree.id, **options)
        return await engine.manager.wait(tree.id)


async def test_what_failed_runs_again_with_all_that_depends_on_it_and_the_rest_is_kept(place):
    work = Work({"b"})
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        first = await engine.manager.distribute_task_tree(tree)
        assert (first.status, work.taken()) == ("failed", ["a", "b", "d", "e"])
        assert statuses(first) == {
            "root": "failed", "a": "completed", "b": "failed", "c": "skipped", "d": "completed", "e": "completed",
        }  # fmt: skip
        before = {key: (first.tasks[key].result, first.tasks[key].started_at) for key in ("a", "d")}

        work.failing.clear()
        second = await again(engine, tree)
        stored = await engine.storage.tree("root")

    assert (second.status, second.run, work.taken()) == ("completed", 2, ["b", "c", "e"])
    assert set(statuses(stored).values()) == {"completed"}
    assert {key: (stored.tasks[key].result, stored.tasks[key].started_at) for key in ("a", "d")} == before
    assert {t.key: t.run for t in stored} == {"root": 2, "a": 1, "b": 2, "c": 2, "d": 1, "e": 2}
    assert {t.attempt for t in stored if t.executor} == {1}


async def test_a_tree_that_its_creator_still_holds_runs_again_through_it():
    work = Work({"b"})
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        work.failing.clear()
        assert (await engine.manager.distribute_task_tree(tree)).status == "completed"


async def test_every_execution_is_a_run_and_earlier_attempts_stay_readable(place):
    work = Work({"b"})
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        await again(engine, tree)
        work.failing.clear()
        await again(engine, tree)
        attempts = await engine.storage.attempts("root", tree.tasks["b"].n)
        events = await engine.storage.events("root")

    assert [(a.run, a.attempt, a.outcome, a.error["message"]) for a in attempts] == [
        (1, 1, "failed", "ValueError: not yet"), (2, 1, "failed", "ValueError: not yet"),
    ]  # fmt: skip
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [e.run for e in events if e.type == "tree_started"] == [1, 2, 3]
    assert [(e.run, e.status) for e in events if e.type == "tree_settled"] == [(1, "failed"), (2, "failed"), (3, "completed")]
    reset = {e.task_id for e in events if e.type == "task_reset" and e.run == 2}
    assert reset == {"root", "b", "c", "e"}


async def test_a_result_of_an_earlier_run_is_kept_when_all_of_it_runs_once_more(place):
    work = Work()
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        assert len(work.taken()) == 5
        with pytest.raises(
            InvalidTransition, match="tree 'root' has completed; copy it, or ask for rerun to run all of it once"
        ):
            await engine.manager.execute("root")
        await again(engine, tree, rerun=True)
        attempts = await engine.storage.attempts("root")

    assert len(work.taken()) == 5
    assert sorted((a.task_id, a.run, a.outcome, a.result) for a in attempts) == [
        (key, 1, "completed", key) for key in ("a", "b", "c", "d", "e")
    ]


async def test_all_of_a_tree_once_more_is_not_asked_of_a_part():
    work = Work()
    async with engine_of(work.executor) as engine:
        await engine.creator.create_task_tree_from_array(TREE)
        with pytest.raises(InvalidParams, match="rerun = True: is for a whole tree, and 'b' is a part of tree 'root'"):
            await engine.manager.execute("b", rerun=True)


async def test_what_was_cancelled_runs_again(place):
    work = Work()
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.cancel("b")
        first = await engine.manager.distribute_task_tree(await engine.tree("root"))
        assert (first.status, work.taken()) == ("cancelled", ["a", "d", "e"])
        second = await again(engine, tree)

    assert (second.status, work.taken()) == ("completed", ["b", "c", "e"])


async def test_one_task_runs_with_what_it_needs_and_nothing_else(place):
    work = Work()
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        first = await again(engine, tree, "b")
        assert (first.status, first.progress, work.taken()) == ("pending", 1.0, ["a", "b"])
        assert statuses(await engine.storage.tree("root")) == {
            "root": "in_progress", "a": "completed", "b": "completed", "c": "pending", "d": "pending", "e": "pending",
        }  # fmt: skip

        rest = await again(engine, tree)

    assert (rest.status, rest.run, work.taken()) == ("completed", 2, ["c", "d", "e"])


async def test_a_chosen_task_that_completed_runs_again_with_its_settled_dependents(place):
    work = Work()
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        work.taken()
        second = await again(engine, tree, "b")

    assert (second.status, work.taken()) == ("completed", ["b", "c", "e"])


async def test_a_chosen_group_runs_with_all_that_is_under_it():
    work = Work({"one"})
    tasks = [
        group("root"), group("inner", parent_id="root"),
        task("one", "work", "inner"), task("two", "work", "inner"),
        task("before", "work"), task("after", "work", dependencies=["inner"]),
    ]  # fmt: skip
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        first = await engine.manager.distribute_task_tree(tree)
        assert statuses(first)["after"] == "skipped"
        work.taken()
        work.failing.clear()
        second = await again(engine, tree, "inner")

    assert (second.status, work.taken()) == ("completed", ["after", "one", "two"])


async def test_a_dependent_that_also_waits_for_what_nobody_asked_to_run_stays_as_it_is():
    work = Work()
    tasks = [group("root"), task("a", "work"), task("b", "work"), task("both", "work", dependencies=["a", "b"])]
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        await engine.manager.cancel("both")
        first = await again(engine, tree, "a")
        assert statuses(first) == {"root": "in_progress", "a": "completed", "b": "pending", "both": "cancelled"}
        last = await again(engine, tree)

    assert (last.status, work.taken()) == ("completed", ["a", "b", "both"])


async def test_an_optional_dependency_that_never_ran_runs_with_who_waits_for_it():
    work = Work()
    tasks = [group("root"), task("a", "work"), task("b", "work", dependencies=[{"id": "a", "required": False}])]
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        await again(engine, tree, "b")

    assert work.taken() == ["a", "b"]


async def test_a_part_that_was_asked_to_run_is_all_that_another_engine_goes_on_with(tmp_path, recorder):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    tasks = [group("root"), task("a", "held"), task("b", "held", dependencies=["a"]), task("c", "held")]
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.creator.create_task_tree_from_array(tasks)
        await engine.manager.execute("b")
        await recorder.at_gate.wait()

    recorder.gate.set()
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.manager.resume("root")
        resumed = await engine.manager.wait("root", 20)

    assert (resumed.status, resumed.progress) == ("pending", 1.0)
    assert statuses(resumed) == {"root": "in_progress", "a": "completed", "b": "completed", "c": "pending"}


async def test_what_runs_again_may_fail_again_and_its_groups_with_it(place):
    work = Work({"b"})
    async with engine_of(work.executor, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        second = await again(engine, tree)
        stored = await engine.storage.tree("root")

    assert (second.status, second.run) == ("failed", 2)
    assert statuses(stored) == {
        "root": "failed", "a": "completed", "b": "failed", "c": "skipped", "d": "completed", "e": "completed",
    }  # fmt: skip
    assert stored.tasks["root"].run == 2


async def test_a_tree_that_runs_or_was_asked_to_is_not_executed_again(recorder):
    _, held = recorder.executors()
    async with engine_of(held) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "held")], execute=True)
        with pytest.raises(AlreadyExecuting, match="tree 'root' is being executed"):
            await engine.manager.execute("a")
        recorder.gate.set()
        await engine.manager.wait(tree.id)
        with pytest.raises(NotFound, match="there is no task 'nobody'"):
            await engine.manager.execute("nobody")


async def test_an_archived_tree_does_not_run_again():
    work = Work({"b"})
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(TREE)
        await engine.manager.distribute_task_tree(tree)
        await engine.editor.archive("root")
        with pytest.raises(CannotDelete, match="tree 'root' is archived and cannot be executed; copy it, or take it out"):
            await engine.manager.execute("root")
        await engine.editor.archive("root", undo=True)
        assert (await again(engine, tree)).run == 2


NAMES = "abcdefgh"


@st.composite
def flows(draw):
    """A tree of working tasks and groups, in which each depends on some of those before it, with who fails in which run."""
    size = draw(st.integers(1, 8))
    tasks, parents = [group("root")], ["root"]
    for n in range(size):
        if draw(st.booleans()) and n:
            name = f"g{n}"
            tasks.append(group(name, parent_id=draw(st.sampled_from(parents))))
            parents = [*parents, name]
            tasks.append(task(f"in{n}", "work", name))
        before = [t["id"] for t in tasks if t.get("executor")]
        wanted = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        dependencies = [{"id": each, "required": draw(st.booleans())} for each in wanted]
        tasks.append(task(NAMES[n], "work", draw(st.sampled_from(parents)), dependencies=dependencies))
    working = [t["id"] for t in tasks if t.get("executor")]
    failing = st.sets(st.sampled_from(working), max_size=3)
    return tasks, draw(failing), draw(failing), draw(st.sampled_from(working))


def needs(tasks):
    return {t["id"]: {d["id"] for d in t.get("dependencies") or ()} for t in tasks}


def with_dependents(tasks, chosen):
    found, more = set(chosen), True
    while more:
        more = {key for key, needed in needs(tasks).items() if needed & found} - found
        found |= more
    return found


@settings(max_examples=60, deadline=None)
@given(flows())
async def test_a_second_execution_looks_at_exactly_what_did_not_complete_and_what_depends_on_it(flow):
    tasks, first_fail, second_fail, chosen = flow
    work = Work(set(first_fail))
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        first = await engine.manager.distribute_task_tree(tree)
        left = {t.key for t in first if t.executor and t.status is not TaskStatus.COMPLETED}
        work.taken()
        work.failing = set(second_fail)
        if left:
            second = await again(engine, tree)
            expected = with_dependents(tasks, left)
            assert {t.key for t in second if t.executor and t.run == 2} == expected
            assert set(work.taken()) <= expected
            assert second.status.settled
            assert all(t.status.settled for t in second)
        work.failing = set()
        third = await again(engine, tree, chosen)
        ran = set(work.taken())
        assert chosen in ran
        assert third.status is not TaskStatus.IN_PROGRESS
        stored = await engine.storage.tree(tree.id)
        assert statuses(stored) == statuses(third)


async def test_the_tasks_of_a_run_make_its_progress():
    work = Work({"b"})
    done = await run(TREE, work.executor)
    assert done.progress == pytest.approx(3 / 5)


async def test_what_is_cancelled_after_a_run_adds_no_second_end_to_it(place):
    work = Work()
    async with engine_of(work.executor, **place) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), *(task(key, "work") for key in "abc")])
        await again(engine, await engine.tree("root"), "a")
        for key in "abc":
            await engine.manager.cancel(key)
        stored = await engine.storage.tree("root")
        events = await engine.storage.events("root")

    assert (stored.status, stored.root.status) == ("cancelled", "cancelled")
    assert [event.status for event in events if event.type == "tree_settled"] == ["pending"]


async def test_a_dependent_does_not_wait_for_what_is_under_a_task_that_works():
    work = Work()
    tasks = [
        group("root"),
        task("a", "work"),
        task("b", "work"),
        task("under", "work", "b"),
        task("c", "work", dependencies="ab"),
    ]
    async with engine_of(work.executor) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        await again(engine, tree, "c")
        assert work.taken() == ["a", "b", "c"]
        await again(engine, tree, "a")

    assert work.taken() == ["a", "c"]


def test_a_part_that_ended_in_the_instant_of_its_request_has_ended():
    async def parts():
        work = Work()
        async with engine_of(work.executor) as engine:
            tree = await engine.creator.create_task_tree_from_array(TREE)
            await again(engine, tree, "a")
            await again(engine, tree, "d")
        return work.taken()

    assert VirtualClock().run(parts()) == ["a", "d"]
