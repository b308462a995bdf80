"""Changing, deleting, archiving and purging what is stored."""

from __future__ import annotations

import asyncio

import pytest
from samples import Work, group, task

from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow_hookspecs import Problem, hookimpl
from apflow_hookspecs.errors import (
    CannotDelete,
    CircularDependency,
    ExecutorNotFound,
    InvalidDependency,
    InvalidParams,
    InvalidTask,
    InvalidTransition,
    InvalidTree,
    NotFound,
)

CHAIN = [
    group("root"),
    task("a", "work"),
    task("b", "work", dependencies=["a"]),
    task("c", "work", dependencies=["b"]),
    task("d", "work"),
]
GROUPED = [
    group("root"), group("inner", parent_id="root"), task("one", "work", "inner"), task("two", "work", "inner"),
    task("after", "work", dependencies=["inner"]), task("other", "work"),
]  # fmt: skip


@pytest.fixture
def work():
    return Work()


@pytest.fixture
async def engine(place, work):
    async with engine_of(work.executor, **place) as engine:
        yield engine


@pytest.fixture
def create(engine):
    return engine.creator.create_task_tree_from_array


async def done(engine, task_id="root"):
    async with asyncio.timeout(20):
        await engine.manager.execute(task_id)
        return await engine.manager.wait("root")


async def settled(engine, task_id):
    """Until a task of the tree has settled; the rest goes on."""
    async with asyncio.timeout(20):
        async for event in engine.watch("root"):
            if (event.type, event.task_id) == ("task_settled", task_id):
                return


def keys(tasks):
    return sorted(task.key for task in tasks)


# -- deleting ---------------------------------------------------------------------------------------------------------


async def test_a_pending_task_is_deleted_with_all_that_is_under_it_and_the_rest_runs(engine, work, create):
    await create([*GROUPED[:4], task("other", "work"), task("last", "work")])
    assert keys(await engine.editor.delete("inner")) == ["inner", "one", "two"]
    stored = await engine.storage.tree("root")
    assert list(stored.tasks) == ["root", "other", "last"]
    finished = await done(engine)
    assert (finished.status, work.taken()) == ("completed", ["last", "other"])
    with pytest.raises(NotFound):
        await engine.tree("one")


async def test_what_depends_on_a_part_has_to_be_in_it(engine, create):
    await create(CHAIN)
    with pytest.raises(InvalidTree) as refused:
        await engine.editor.delete("a")
    rule = "depends on what was chosen, and was not chosen itself: {}; include_dependents adds it, allow_partial accepts it"
    assert [str(problem) for problem in refused.value.problems] == [
        f"task 'b', dependencies = 'a': {rule.format('b → a')}",
        f"task 'c', dependencies = 'b': {rule.format('c → b → a')}",
    ]
    assert len(await engine.storage.tree("root")) == 5


async def test_dependents_are_deleted_with_the_part_that_they_depend_on(engine, work, create):
    await create(CHAIN)
    assert keys(await engine.editor.delete("b", include_dependents=True)) == ["b", "c"]
    assert (await done(engine)).status == "completed"
    assert work.taken() == ["a", "d"]


async def test_what_depends_on_something_under_a_dependent_is_deleted_with_it(engine, create):
    chain = [
        each
        for n in range(1, 300)
        for each in (task(f"d{n}", "work", dependencies=[f"u{n - 1}"] if n > 1 else []), task(f"u{n}", "work", f"d{n}"))
    ]
    await create([group("root"), task("other", "work"), *chain])
    assert len(await engine.editor.delete("d1", include_dependents=True)) == len(chain)
    assert list((await engine.storage.tree("root")).tasks) == ["root", "other"]


async def test_a_part_on_which_the_root_depends_takes_the_whole_tree_with_it(engine, create):
    await create([{"id": "root", "executor": "work", "dependencies": ["a"]}, task("a", "work"), task("b", "work")])
    assert keys(await engine.editor.delete("a", include_dependents=True)) == ["a", "b", "root"]
    assert (await engine.storage.info())["trees"] == 0


async def test_dependents_that_stay_depend_on_it_no_longer(engine, work, create):
    await create(CHAIN)
    await engine.editor.delete("b", allow_partial=True)
    stored = await engine.storage.tree("root")
    assert (list(stored.tasks), stored.tasks["c"].dependencies) == (["root", "a", "c", "d"], ())
    finished = await done(engine)
    assert (finished.status, work.taken()) == ("completed", ["a", "c", "d"])
    events = await engine.storage.events("root")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_who_refers_to_a_result_cannot_lose_it(engine, create):
    await create([group("root"), task("a", "work"), task("b", "work", value={"$from": "a"}), task("c", "work")])
    with pytest.raises(InvalidDependency, match=r"task 'b', inputs\.value = 'a': refers to the result of a task that is to be"):
        await engine.editor.delete("a", allow_partial=True)


async def test_a_group_is_not_left_empty(engine, create):
    await create([*GROUPED[:2], task("one", "work", "inner"), task("other", "work")])
    with pytest.raises(InvalidTree, match="group 'inner' would be left with nothing under it; delete it as well"):
        await engine.editor.delete("one")


async def test_what_ran_stays(engine, create):
    await create(CHAIN)
    await done(engine, "a")
    with pytest.raises(CannotDelete, match="task 'a' is completed; out of a tree only pending tasks can be deleted"):
        await engine.editor.delete("a", include_dependents=True)


async def test_a_tree_settles_when_its_last_pending_tasks_are_deleted(engine, create):
    await create(GROUPED[:4])
    assert (await done(engine, "one")).status == "pending"
    await engine.editor.delete("two")
    stored = await engine.storage.tree("root")
    assert (stored.status, stored.tasks["inner"].status, stored.tasks["root"].status) == ("completed",) * 3
    with pytest.raises(InvalidTransition, match="has completed"):
        await engine.manager.execute("root")


async def test_a_tree_with_holes_runs_again_and_recovers(tmp_path, recorder):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    tasks = [group("root"), task("x", "note"), task("a", "held"), task("b", "note", dependencies=["a"])]
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.creator.create_task_tree_from_array(tasks)
        await engine.editor.delete("x")
        await engine.manager.execute("root")
        await recorder.at_gate.wait()
    recorder.gate.set()
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.manager.resume("root")
        finished = await asyncio.wait_for(engine.manager.wait("root"), 20)
        assert (finished.status, recorder.ended) == ("completed", ["a", "b"])
        await engine.manager.execute("root", rerun=True)
        await asyncio.wait_for(engine.manager.wait("root"), 20)
        assert recorder.ended == ["a", "b", "a", "b"]


async def test_a_tree_whose_execution_was_requested_is_not_deleted_though_nobody_runs_it(tmp_path, recorder):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "held")], execute=True)
        await recorder.at_gate.wait()
    async with engine_of(*recorder.executors(), **place) as engine:
        with pytest.raises(CannotDelete, match="tree 'root' is in_progress; cancel it first"):
            await engine.editor.delete("root")
        await engine.manager.cancel("root")
        assert len(await engine.editor.delete("root")) == 2


# -- changing ---------------------------------------------------------------------------------------------------------


async def test_authors_fields_of_a_pending_task_are_replaced(engine, create):
    await create(CHAIN)
    fields = {"name": "First", "inputs": {"value": 1}, "priority": 0, "timeout": 5, "labels": {"gpu": True}, "on_crash": "fail"}
    (changed,) = await engine.editor.update("a", fields, actor="ada")
    stored = await engine.storage.task("a")
    assert {name: getattr(stored, name) for name in fields} == fields
    assert {name: getattr(changed, name) for name in fields} == fields
    event = (await engine.storage.events("root"))[-1]
    assert (event.type, event.task_id, event.actor, event.data) == ("task_updated", "a", "ada", {"fields": sorted(fields)})
    await engine.editor.update("a", {"timeout": None, "inputs": None, "name": None})
    stored = await engine.storage.task("a")
    assert (stored.timeout, stored.inputs, stored.name) == (None, {}, "a")


async def test_nothing_is_written_when_nothing_changes(engine, create):
    await create(CHAIN)
    await engine.editor.update("a", {"priority": 2, "name": "a"})
    assert [event.type for event in await engine.storage.events("root")] == ["tree_created"]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({}, InvalidParams, "task 'b': no field is given that is to change"),
        ({"id": "x"}, InvalidTask, "task 'b', id = 'x': stays as it was created"),
        ({"parent_id": "a"}, InvalidTask, "task 'b', parent_id = 'a': stays as it was created"),
        ({"status": "completed"}, InvalidTask, "task 'b', status = 'completed': is kept by the engine"),
        ({"prio": 1}, InvalidTask, "task 'b', prio = 1: there is no such field"),
        ({"priority": 11}, InvalidTask, "task 'b', priority = 11: must be an integer from 0 (urgent) to 9"),
        ({"executor": "nope"}, ExecutorNotFound, "task 'b', executor = 'nope': "),
        ({"executor": None}, InvalidTask, "task 'b', executor = None: a task that works keeps an executor"),
        ({"dependencies": ["zz"]}, InvalidDependency, "task 'b', dependencies = 'zz': no task of the array has this id"),
        ({"dependencies": ["c"]}, CircularDependency, "depends on itself: "),
        ({"policies": {"nope": {}}}, InvalidTask, "task 'b', policies.nope = {}: "),
    ],
    ids=str,
)
async def test_a_change_passes_the_checks_of_creation(engine, create, fields, error, message):
    await create(CHAIN)
    before = await engine.storage.task("b")
    with pytest.raises(error) as refused:
        await engine.editor.update("b", fields)
    assert message in str(refused.value)
    after = await engine.storage.task("b")
    assert (after.dependencies, after.priority, after.executor) == (before.dependencies, before.priority, before.executor)


async def test_plugins_check_what_is_changed_sync_and_async(place, work):
    class Strict:
        @hookimpl
        def apflow_validate_task(self, task):
            if task.name == "no":
                yield Problem("must not be no", task=task.key, field="name", value=task.name)

    class Slow:
        @hookimpl
        async def apflow_validate_task(self, task):
            await asyncio.sleep(0)
            return [Problem("must not be 9", task=task.key, field="priority", value=9)] if task.priority == 9 else []

    options = {**place, "plugins": {**place.get("plugins", {}), "strict": Strict(), "slow": Slow()}}
    async with engine_of(work.executor, **options) as engine:
        with pytest.raises(InvalidTask, match="2 problems, the first: task 'a', "):
            await engine.creator.create_task_tree_from_array([group("root"), task("a", "work", priority=9) | {"name": "no"}])
        await engine.creator.create_task_tree_from_array(CHAIN)
        with pytest.raises(InvalidTask, match="task 'a', name = 'no': must not be no"):
            await engine.editor.update("a", {"name": "no"})
        with pytest.raises(InvalidTask, match="task 'a', priority = 9: must not be 9"):
            await engine.editor.update("a", {"priority": 9})


async def test_who_changes_what_a_task_waits_for_says_what_becomes_of_its_dependents(engine, work, create):
    await create(CHAIN)
    with pytest.raises(InvalidTree, match=r"task 'c', dependencies = 'b': .* c → b; include_dependents adds it, allow_partial"):
        await engine.editor.update("b", {"dependencies": ["d"]})
    assert keys(await engine.editor.update("b", {"dependencies": ["d"]}, include_dependents=True)) == ["b", "c"]
    events = [e for e in await engine.storage.events("root") if e.type == "task_updated"]
    assert [(e.task_id, e.data) for e in events] == [
        ("b", {"fields": ["dependencies"]}), ("c", {"fields": [], "because_of": "b"}),
    ]  # fmt: skip
    assert keys(await engine.editor.update("b", {"dependencies": []}, allow_partial=True)) == ["b"]
    assert (await done(engine)).status == "completed"
    stored = await engine.storage.tree("root")
    assert stored.tasks["b"].dependencies == ()


async def test_a_task_that_ran_takes_a_new_name_and_nothing_else(engine, create):
    await create(CHAIN)
    await done(engine)
    await engine.editor.update("a", {"name": "Done with it"})
    assert (await engine.storage.task("a")).name == "Done with it"
    with pytest.raises(InvalidTransition, match="task 'a' is completed; only its name can be changed then"):
        await engine.editor.update("a", {"priority": 0})
    await engine.editor.archive("root")
    with pytest.raises(CannotDelete, match="tree 'root' is archived and cannot be changed; copy it"):
        await engine.editor.update("a", {"name": "Once more"})


async def test_a_pending_task_of_a_tree_that_runs_is_changed_and_runs_as_it_says_now(place, recorder, work):
    note, held = recorder.executors()
    async with engine_of(note, held, work.executor, **place) as engine:
        tasks = [
            group("root"), task("a", "held"), task("b", "note", dependencies=["a"]),
            task("c", "note", dependencies=["b"]), task("d", "note", dependencies=["c"]),
        ]  # fmt: skip
        await engine.creator.create_task_tree_from_array(tasks, execute=True)
        await recorder.at_gate.wait()
        with pytest.raises(InvalidTransition, match="task 'a' is in_progress; only its name"):
            await engine.editor.update("a", {"priority": 0})
        await engine.editor.update("d", {"executor": "work"})
        await engine.editor.update("c", {"dependencies": []}, allow_partial=True)
        await settled(engine, "d")
        assert "b" not in recorder.started
        recorder.gate.set()
        finished = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert finished.status == "completed"
    assert sorted(recorder.ended) == ["a", "b", "c"]


async def test_a_change_that_makes_a_task_impossible_skips_it(place, recorder):
    work = Work({"bad"})
    async with engine_of(*recorder.executors(), work.executor, **place) as engine:
        tasks = [group("root"), task("bad", "work"), task("a", "held"), task("b", "note", dependencies=["a"])]
        await engine.creator.create_task_tree_from_array(tasks, execute=True)
        await settled(engine, "bad")
        await engine.editor.update("b", {"dependencies": ["a", "bad"]})
        assert (await engine.storage.task("b")).status == "skipped"
        recorder.gate.set()
        assert (await asyncio.wait_for(engine.manager.wait("root"), 20)).status == "failed"


async def test_a_group_stays_a_group(engine, create):
    await create(CHAIN)
    with pytest.raises(InvalidTask, match="task 'root', executor = 'work': a group stays one, and has no executor"):
        await engine.editor.update("root", {"executor": "work"})


async def test_a_change_that_is_refused_at_rest_holds_up_nobody(tmp_path, recorder):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    tasks = [group("root"), task("a", "held"), task("b", "note", dependencies=["a"]), task("c", "note")]
    async with engine_of(*recorder.executors(), **place) as engine:
        await engine.creator.create_task_tree_from_array(tasks)
        await engine.manager.execute("b")
        await recorder.at_gate.wait()
    async with engine_of(*recorder.executors(), **place) as engine:
        with pytest.raises(InvalidTransition, match="task 'b' was asked to run, and cannot wait for 'c', which was not"):
            await engine.editor.update("b", {"dependencies": ["a", "c"]})
        await asyncio.wait_for(engine.editor.update("b", {"priority": 0}), 20)
        assert (await engine.storage.task("b")).priority == 0


# -- archiving and purging --------------------------------------------------------------------------------------------


async def test_an_archived_tree_is_frozen_and_can_be_copied(engine, create):
    await create(CHAIN)
    with pytest.raises(InvalidTransition, match="tree 'root' is pending; only a settled tree can be archived"):
        await engine.editor.archive("root")
    await done(engine)
    with pytest.raises(InvalidTree, match="task 'a' is a part of tree 'root'; a tree is archived as a whole"):
        await engine.editor.archive("a")
    archived = await engine.editor.archive("root", actor="ada")
    assert archived.archived_at == (await engine.storage.tree("root")).archived_at is not None
    event = (await engine.storage.events("root"))[-1]
    assert (event.type, event.actor, event.status) == ("tree_archived", "ada", "completed")
    assert (await engine.editor.archive("root")).last_event == event.seq
    with pytest.raises(CannotDelete, match="tree 'root' is archived and cannot be deleted; copy it, or take it out"):
        await engine.editor.delete("root")
    assert (await engine.creator.create_task_copy("a")).status == "pending"
    await engine.editor.archive("root", undo=True)
    assert len(await engine.editor.delete("root")) == 5


def test_trees_that_settled_long_ago_are_purged():
    work = Work()
    clock = VirtualClock()

    async def tree(engine, name, *, execute=True):
        tasks = [{"id": name}, {"id": f"{name}.1", "parent_id": name, "executor": "work"}]
        made = await engine.creator.create_task_tree_from_array(tasks)
        if execute:
            await engine.manager.distribute_task_tree(made)

    async def scenario():
        async with engine_of(work.executor) as engine:
            for name in ("old", "kept", "renamed"):
                await tree(engine, name)
            await tree(engine, "pending", execute=False)
            await engine.editor.archive("kept")
            await asyncio.sleep(1000)
            await tree(engine, "new")
            await engine.editor.update("renamed", {"name": "still in use"})
            before = NOON + 500_000_000
            counted = await engine.editor.purge(before, dry_run=True)
            purged = await engine.editor.purge(before)
            left = [name for name in ("old", "kept", "renamed", "pending", "new") if await engine.storage.tree(name)]
            return counted, purged, left

    assert clock.run(scenario()) == (1, 1, ["kept", "renamed", "pending", "new"])


async def test_who_watches_a_tree_is_told_that_it_was_deleted(engine, create):
    await create(CHAIN)

    begun = asyncio.Event()

    async def watch():
        async for _ in engine.watch("root"):
            begun.set()

    watching = asyncio.ensure_future(watch())
    await begun.wait()
    await engine.editor.delete("root")
    with pytest.raises(NotFound, match="tree 'root' was deleted"):
        await asyncio.wait_for(watching, 20)


async def test_what_is_left_of_an_archived_tree_is_not_cancelled(engine, work, create):
    work.failing.add("a")
    await create(CHAIN)
    await done(engine, "a")
    await engine.editor.archive("root")
    with pytest.raises(CannotDelete, match="tree 'root' is archived and cannot be cancelled"):
        await engine.manager.cancel("d")


async def test_purging_costs_one_transaction_for_many_trees(engine, work, create):
    for n in range(30):
        tree = await create([{"id": f"t{n}", "executor": "work"}])
        await engine.manager.distribute_task_tree(tree)
    commits = engine.manager.commits
    assert await engine.editor.purge(2**60) == 30
    assert engine.manager.commits == commits + 1
    assert (await engine.storage.info())["trees"] == 0


async def test_a_tree_whose_only_other_tasks_were_cancelled_is_cancelled_when_the_rest_is_deleted(engine, create):
    await create([group("root"), task("a", "work"), task("b", "work")])
    await engine.manager.cancel("a")
    await engine.editor.delete("b")
    stored = await engine.storage.tree("root")
    assert (stored.status, stored.root.status) == ("cancelled", "cancelled")


async def test_what_was_asked_to_run_cannot_be_made_to_wait_for_what_was_not(place, recorder, work):
    async with engine_of(work.executor, *recorder.executors(), **place) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "held"), task("b", "work", dependencies=["a"]), task("c", "work")]
        )
        await engine.manager.execute("b")
        await recorder.at_gate.wait()
        told = "task 'b' was asked to run, and cannot wait for 'c', which was not; change it once this run has ended"
        with pytest.raises(InvalidTransition, match=told):
            await engine.editor.update("b", {"dependencies": ["a", "c"]})
        await engine.editor.update("c", {"dependencies": ["b"]})
        recorder.gate.set()
        assert (await engine.manager.wait("root", 20)).status == "pending"
