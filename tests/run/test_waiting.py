"""Tasks that wait: for an answer, for an instant, and across the end of a process."""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from samples import add, group, run, task

from apflow.testing import engine_of
from apflow.testing.clock import VirtualClock
from apflow_hookspecs import TaskContext, Wait, executor
from apflow_hookspecs.errors import InvalidTransition, WrongAnswer

YES_OR_NO = {"enum": ["yes", "no"]}


def in_seconds(seconds):
    return time.time_ns() // 1000 + round(seconds * 1_000_000)


@executor("ask")
async def ask(context: TaskContext, question: str = "Sure?", schema: dict | None = None):
    if context.wait is None:
        return Wait.for_input(question, schema)
    return {"asked": context.wait.prompt, "answer": context.answer, "attempt": context.attempt}


@executor("twice")
async def twice(context: TaskContext):
    if context.wait is None:
        return Wait.for_input("first")
    if context.wait.prompt == "first":
        return Wait.for_input(f"second, after {context.answer}")
    return [context.wait.prompt, context.answer]


@executor("nap")
async def nap(context: TaskContext, seconds: float = 3600.0):
    if context.wait is None:
        return Wait.until(in_seconds(seconds))
    return context.wait.kind


ASKING = [group("root"), task("a", "ask", schema=YES_OR_NO), task("b", "add", dependencies=["a"], a=1)]


async def until_waiting(engine, tree_id="root"):
    async with asyncio.timeout(20):
        async for event in engine.watch(tree_id):
            if event.type == "task_waiting":
                return event
    raise AssertionError("nothing waited")


async def test_a_task_waits_for_its_answer_and_goes_on_with_it(place):
    async with engine_of(ask, add, **place) as engine:
        tree = await engine.creator.create_task_tree_from_array(ASKING, execute=True)
        event = await until_waiting(engine)
        assert event.data["wait"]["prompt"] == "Sure?"
        assert (await engine.tree("root")).status == "waiting"

        task_a = await engine.manager.answer("a", "yes", actor="ada")
        done = await asyncio.wait_for(engine.manager.wait(tree.id), 20)
        events = await engine.storage.events("root")
        stored = await engine.storage.task("a")

    assert task_a.status in ("pending", "in_progress", "completed")
    assert done.status == "completed"
    assert stored.result == {"asked": "Sure?", "answer": "yes", "attempt": 1}
    assert stored.wait is None
    answered = next(e for e in events if e.type == "task_answered")
    assert (answered.task_id, answered.actor, answered.data, answered.attempt) == ("a", "ada", {"answer": "yes"}, 1)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("maybe", "task 'a', answer = 'maybe': must be one of 'yes', 'no'"),
        (math.nan, "task 'a', answer = nan: "),
        ({"a": b"yes"}, "task 'a', answer.a = "),
    ],
    ids=str,
)
async def test_a_wrong_answer_is_refused_and_the_task_keeps_waiting(place, answer, message):
    async with engine_of(ask, add, **place) as engine:
        await engine.creator.create_task_tree_from_array(ASKING, execute=True)
        await until_waiting(engine)
        with pytest.raises(WrongAnswer) as refused:
            await engine.manager.answer("a", answer)
        assert refused.value.code == -32007
        assert str(refused.value).startswith(message)
        assert (await engine.tree("root")).tasks["a"].status == "waiting"
        await engine.manager.answer("a", "no")
        assert (await asyncio.wait_for(engine.manager.wait("root"), 20)).tasks["a"].result["answer"] == "no"


async def test_null_is_an_answer():
    async with engine_of(ask) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "ask")], execute=True)
        await until_waiting(engine)
        await engine.manager.answer("a", None)
        done = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert done.tasks["a"].result == {"asked": "Sure?", "answer": None, "attempt": 1}


async def test_a_task_may_ask_again_with_what_it_was_told():
    async with engine_of(twice) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "twice")], execute=True)
        await until_waiting(engine)
        await engine.manager.answer("a", "one")
        async with asyncio.timeout(20):
            async for event in engine.watch("root"):
                if event.type == "task_waiting" and event.data["wait"]["prompt"] != "first":
                    break
        await engine.manager.answer("a", "two")
        done = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert done.tasks["a"].result == ["second, after one", "two"]


async def test_what_does_not_wait_for_an_answer_cannot_be_answered():
    async with engine_of(ask, add) as engine:
        await engine.creator.create_task_tree_from_array(ASKING)
        with pytest.raises(InvalidTransition, match="task 'a' is pending, and does not wait for an answer"):
            await engine.manager.answer("a", "yes")
        await engine.manager.execute("root")
        await until_waiting(engine)
        answers = await asyncio.gather(
            engine.manager.answer("a", "yes"), engine.manager.answer("a", "no"), return_exceptions=True
        )
        assert [type(answer).__name__ for answer in answers] == ["Task", "InvalidTransition"]
        done = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert done.tasks["a"].result["answer"] == "yes"


async def test_an_answer_is_kept_for_a_tree_that_nobody_runs(tmp_path):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    async with engine_of(ask, add, **place) as engine:
        await engine.creator.create_task_tree_from_array(ASKING, execute=True)
        await until_waiting(engine)
    async with engine_of(ask, add, **place) as engine:
        with pytest.raises(WrongAnswer):
            await engine.manager.answer("a", "perhaps")
        answered = await engine.manager.answer("a", "yes")
        assert (answered.status, answered.wait.answer) == ("pending", "yes")
        assert engine.manager.running() == []
        assert (await engine.tree("root")).open
        with pytest.raises(InvalidTransition, match="task 'a' is pending"):
            await engine.manager.answer("a", "no")
    async with engine_of(ask, add, **place) as engine:
        await engine.manager.resume("root")
        done = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert (done.status, done.tasks["a"].result["answer"]) == ("completed", "yes")


async def test_an_answer_outlives_the_attempt_that_was_cut_off_with_it(tmp_path):
    import apflow_sqlite

    begun, never = asyncio.Event(), asyncio.Event()

    @executor("slow")
    async def slow(context: TaskContext):
        if context.wait is None:
            return Wait.for_input("Sure?")
        if not begun.is_set():
            begun.set()
            await never.wait()
        return context.answer

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    async with engine_of(slow, **place) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "slow")], execute=True)
        await until_waiting(engine)
        await engine.manager.answer("a", 42)
        await begun.wait()
    async with engine_of(slow, **place) as engine:
        await engine.manager.resume("root")
        done = await asyncio.wait_for(engine.manager.wait("root"), 20)

    assert done.tasks["a"].result == 42


def test_a_task_that_waits_for_an_instant_knows_that_it_came_back():
    clock = VirtualClock()

    async def scenario():
        async with engine_of(nap) as engine:
            tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "nap")])
            done = await engine.manager.distribute_task_tree(tree)
            return done.tasks["a"], await engine.storage.events("root")

    done, events = clock.run(scenario())
    assert (done.result, done.attempt) == ("until", 1)
    assert done.completed_at - done.started_at >= 3600 * 1_000_000
    assert 3600 <= clock.monotonic() < 3601
    assert [e.type for e in events if e.task_id == "a"] == [
        "task_started", "task_waiting", "task_resumed", "task_started", "task_settled",
    ]  # fmt: skip


def test_an_answer_that_comes_too_late_is_refused_though_nobody_had_the_time_end_the_wait():
    @executor("hurried")
    async def hurried(context: TaskContext):
        return Wait.for_input("Sure?", until=in_seconds(60)) if context.wait is None else context.answer

    async def scenario():
        async with engine_of(hurried) as engine:
            await engine.creator.create_task_tree_from_array([group("root"), task("a", "hurried")], execute=True)
            await until_waiting(engine)
            engine._keeper.disarm(engine._keeper.live["root"], 1)
            await asyncio.sleep(61)
            with pytest.raises(InvalidTransition, match="task 'a' had to be answered until 2025-07-31T12:01:00"):
                await engine.manager.answer("a", "yes")

    VirtualClock().run(scenario())


def test_an_answer_that_does_not_come_in_time_fails_the_task_and_an_answered_one_has_no_deadline_left():
    @executor("hurried")
    async def hurried(context: TaskContext):
        if context.wait is None:
            return Wait.for_input("Sure?", until=in_seconds(60))
        await asyncio.sleep(300)
        return context.answer

    tasks = [group("root"), task("late", "hurried"), task("early", "hurried")]

    async def scenario():
        async with engine_of(hurried) as engine:
            await engine.creator.create_task_tree_from_array(tasks, execute=True)
            await asyncio.sleep(30)
            await engine.manager.answer("early", "yes")
            return await engine.manager.wait("root")

    done = VirtualClock().run(scenario())
    assert (done.tasks["late"].status, done.tasks["late"].error["code"]) == ("failed", "timeout")
    assert (done.tasks["early"].status, done.tasks["early"].result) == ("completed", "yes")


async def test_a_tree_that_nobody_runs_waits_only_while_nothing_in_it_is_ready(tmp_path):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    async with engine_of(ask, **place) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("a", "ask"), task("b", "ask")], execute=True)
        async with asyncio.timeout(20):
            while (await engine.tree("root")).status != "waiting":
                await until_waiting(engine)
    async with engine_of(ask, **place) as engine:
        await engine.manager.answer("a", 1)
        assert (await engine.storage.tree("root")).status == "in_progress"


async def test_a_question_that_no_answer_could_fit_fails_the_task_at_once():
    done = await run([group("root"), task("a", "ask", schema={"type": "nonsense"})], ask)
    assert done.tasks["a"].error["code"] == "bad_result"
    assert done.tasks["a"].error["message"].startswith("the schema of a wait cannot be used: ")
