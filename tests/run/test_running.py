"""Trees run to their end: order, results, failures, groups, priorities, turns, limits."""

from __future__ import annotations

import asyncio

import pytest
from samples import add, boom, echo, group, noop, run, task

from apflow.testing import engine_of
from apflow_hookspecs import TaskContext, TaskStatus, executor
from apflow_hookspecs.errors import AlreadyExecuting, InvalidTransition, NotFound


async def test_a_tree_runs_and_its_results_stand_on_its_tasks():
    tree = await run([group("root"), task("a", "add", a=1), task("b", "add", a={"$from": "a"}, b=10)], add)

    assert tree.status == "completed"
    assert tree.tasks["b"].result == 12
    assert tree.progress == 1.0


async def test_what_was_returned_is_what_is_stored():
    async with engine_of(add, boom) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "add", a=2**40), task("c", "boom"), task("d", "add", a=1, dependencies=["c"])]
        )
        done = await engine.manager.distribute_task_tree(tree)
        stored = await engine.storage.tree("root")

    fields = ("status", "result", "error", "attempt", "run", "progress", "started_at", "completed_at", "created_at")
    assert [[getattr(t, f) for f in fields] for t in stored] == [[getattr(t, f) for f in fields] for t in done]
    assert (stored.status, stored.run, stored.last_event) == (done.status, done.run, done.last_event)


async def test_a_failed_dependency_skips_its_dependents_and_nothing_stays_pending():
    tree = await run(
        [group("root"), task("a", "boom"), task("b", "noop", dependencies=["a"]), task("c", "noop", dependencies=["b"])],
        boom,
        noop,
    )

    assert tree.status == "failed"
    assert [t.status for t in tree] == ["failed", "failed", "skipped", "skipped"]
    assert tree.tasks["a"].error["message"] == "ValueError: no"
    assert tree.tasks["b"].error["code"] == "dependency_failed"
    assert tree.tasks["b"].error["details"] == {"task_id": "a", "key": "a"}
    assert tree.tasks["c"].error["details"]["key"] == "b"


async def test_an_optional_dependency_is_waited_for_however_it_ends(recorder):
    note, held = recorder.executors()
    optional = [{"id": "slow", "required": False}]
    async with engine_of(note, held, boom) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("slow", "held"), task("after", "note", dependencies=optional)], execute=True
        )
        await recorder.at_gate.wait()
        assert "after" not in recorder.started
        recorder.gate.set()
        tree = await engine.manager.wait(tree.id)

    assert recorder.started == ["slow", "after"]
    assert tree.status == "completed"


async def test_a_failed_optional_dependency_lets_its_dependents_run_and_fails_the_tree():
    tree = await run(
        [
            group("root"),
            task("bad", "boom"),
            task("after", "echo", value={"$from": "bad"}, dependencies=[{"id": "bad", "required": False}]),
        ],
        boom,
        echo,
    )

    assert tree.tasks["after"].status == "completed"
    assert tree.tasks["after"].result is None
    assert tree.status == "failed"


async def test_a_null_result_is_a_result():
    tree = await run([group("root"), task("a", "noop"), task("b", "noop", dependencies=["a"])], noop)

    assert tree.status == "completed"


async def test_a_group_settles_with_the_worst_of_what_is_under_it():
    tree = await run(
        [
            group("root"),
            group("good", parent_id="root"),
            task("a", "noop", parent_id="good"),
            group("bad", parent_id="root"),
            task("b", "boom", parent_id="bad"),
            task("c", "noop", parent_id="bad", dependencies=["b"]),
        ],
        noop,
        boom,
    )

    assert {key: tree.tasks[key].status for key in ("good", "bad", "root")} == {
        "good": "completed",
        "bad": "failed",
        "root": "failed",
    }


async def test_to_depend_on_a_group_is_to_wait_for_all_under_it(recorder):
    note, _ = recorder.executors()
    await run(
        [
            group("root"),
            group("g", parent_id="root"),
            task("after", "note", dependencies=["g"]),
            task("a", "note", parent_id="g"),
            task("b", "note", parent_id="a", dependencies=["a"]),
        ],
        note,
    )

    assert recorder.started == ["a", "b", "after"]


async def test_a_group_shows_the_results_of_its_tasks_to_those_who_depend_on_it():
    tree = await run(
        [
            group("root"),
            group("g", parent_id="root"),
            task("a", "add", parent_id="g", a=1),
            task("b", "echo", value={"$from": "g", "path": "/a"}),
        ],
        add,
        echo,
    )

    assert tree.tasks["b"].result == 2


async def test_parents_do_not_order_their_children(recorder):
    note, _ = recorder.executors()
    await run([task("root", "note"), task("child", "note")], note)

    assert recorder.started == ["root", "child"]


async def test_priorities_start_in_their_order_when_there_is_one_slot(recorder):
    note, _ = recorder.executors()
    await run([group("root"), *(task(f"p{p}", "note", priority=p) for p in (3, 1, 0, 2))], note, max_concurrency=1)

    assert recorder.started == ["p0", "p1", "p2", "p3"]


async def test_trees_of_equal_priority_take_turns(recorder):
    note, _ = recorder.executors()
    async with engine_of(note, max_concurrency=1) as engine:
        trees = [
            await engine.creator.create_task_tree_from_array(
                [group(name), *(task(f"{name}{i}", "note", name) for i in range(3))]
            )
            for name in ("x", "y")
        ]
        await asyncio.gather(*(engine.manager.distribute_task_tree(tree) for tree in trees))

    assert recorder.started == ["x0", "y0", "x1", "y1", "x2", "y2"]


async def test_an_executor_at_its_limit_blocks_nobody_else(recorder):
    note, held = recorder.executors()
    async with engine_of(note, held, limits={"held": 1}) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("h1", "held"), task("h2", "held"), task("n", "note", dependencies=["h1"]), task("m", "note")],
            execute=True,
        )
        await recorder.at_gate.wait()
        async for event in engine.watch(tree.id):
            if event.type == "task_settled" and event.task_id == "m":
                break
        assert "h2" not in recorder.started
        recorder.gate.set()
        await engine.manager.wait(tree.id)

    assert sorted(recorder.ended) == ["h1", "h2", "m", "n"]


async def test_no_more_tasks_run_at_once_than_there_are_slots():
    running, most = 0, 0

    @executor("count")
    async def count():
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await run([group("root"), *(task(f"t{i}", "count") for i in range(50))], count, max_concurrency=7)

    assert most == 7


async def test_results_of_dependencies_reach_an_executor_that_takes_them_by_name():
    @executor("sum")
    async def total(a: int, b: int, extra: int = 0):
        return a + b + extra

    tree = await run(
        [group("root"), task("a", "add", a=1), task("b", "add", a=2), task("s", "sum", extra=100, dependencies=["a", "b"])],
        add,
        total,
    )

    assert tree.tasks["s"].result == 105


async def test_the_authors_inputs_go_before_the_results_of_dependencies():
    tree = await run(
        [group("root"), task("value", "add", a=1), task("e", "echo", value="mine", dependencies=["value"])], add, echo
    )

    assert tree.tasks["e"].result == "mine"


async def test_a_missing_part_of_a_result_fails_the_task_by_name():
    tree = await run(
        [group("root"), task("a", "echo", value={"x": [1]}), task("b", "echo", value={"$from": "a", "path": "/x/7"})], echo
    )

    error = tree.tasks["b"].error
    assert error["code"] == "reference_missing"
    assert error["details"] == {"key": "a", "path": "/x/7"}
    assert "/x has no '7'" in error["message"]


async def test_an_inserted_value_is_never_read_as_a_reference():
    trick = {"$literal": {"$from": "nobody"}}
    tree = await run([group("root"), task("a", "echo", value=trick), task("b", "echo", value={"$from": "a"})], echo)

    assert tree.tasks["b"].result == {"$from": "nobody"}


async def test_the_stored_inputs_stay_as_the_author_wrote_them():
    async with engine_of(echo) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "echo", value=1), task("b", "echo", value=[{"$from": "a"}])]
        )
        await engine.manager.distribute_task_tree(tree)
        stored = await engine.storage.task("b")

    assert stored.result == [1]
    assert stored.inputs == {"value": [{"$from": "a"}]}


async def test_a_tree_that_runs_is_not_run_twice(recorder):
    note, held = recorder.executors()
    async with engine_of(note, held) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "held")], execute=True)
        await recorder.at_gate.wait()
        with pytest.raises(AlreadyExecuting, match="'root'"):
            await engine.manager.execute("root")
        recorder.gate.set()
        await engine.manager.wait(tree.id)
        with pytest.raises(InvalidTransition, match="completed"):
            await engine.manager.execute("root")


async def test_what_is_not_there_cannot_be_run():
    async with engine_of(noop) as engine:
        with pytest.raises(NotFound, match="'nobody'"):
            await engine.manager.execute("nobody")


async def test_a_stored_tree_is_run_by_a_later_engine(tmp_path):
    url = f"sqlite:///{tmp_path / 'flow.db'}"
    import apflow_sqlite

    async with engine_of(add, url=url, plugins={"sqlite": apflow_sqlite}) as engine:
        await engine.creator.create_task_tree_from_array(
            [group("root"), task("a", "add", a=1), task("b", "add", a={"$from": "a"})]
        )
    async with engine_of(add, url=url, plugins={"sqlite": apflow_sqlite}) as engine:
        await engine.manager.execute("root")
        tree = await engine.manager.wait("root")
        stored = await engine.storage.tree("root")

    assert tree.tasks["b"].result == stored.tasks["b"].result == 3
    assert stored.status is TaskStatus.COMPLETED


async def test_what_an_executor_does_to_its_inputs_changes_nobody_elses():
    @executor("spoil")
    async def spoil(value: dict, context: TaskContext):
        value["x"].append("spoilt")
        context.results["a"]["x"].append("spoilt too")

    tree = await run(
        [
            group("root"),
            task("a", "echo", value={"x": []}),
            task("b", "spoil", value={"$from": "a"}),
            task("c", "echo", value={"$from": "a"}, dependencies=["b"]),
        ],
        echo,
        spoil,
    )

    assert tree.tasks["b"].status == "completed"
    assert tree.tasks["a"].result == tree.tasks["c"].result == {"x": []}


async def test_a_class_whose_execute_is_a_plain_function_is_called_too():
    class Plain:
        id = "plain"

        def execute(self, inputs):
            return inputs["x"] + 1

    tree = await run([task("root", "plain", x=1)], Plain())

    assert tree.root.result == 2
