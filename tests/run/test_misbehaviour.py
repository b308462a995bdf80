"""Whatever an executor says, does to what it was given, or raises: its task ends, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest
from samples import group, noop, run, task

from apflow.testing import engine_of
from apflow_hookspecs import Caller, Retry, TaskContext, TaskFailed, executor, hookimpl


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no picture")


def failing(error):
    @executor("fails")
    async def fails():
        raise error

    return fails


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Speechless(), {"code": "failed", "message": "Speechless: Speechless (which cannot be shown: RuntimeError)"}),
        (TaskFailed(Unshowable()), {"code": "failed", "message": "Unshowable (which cannot be shown: RuntimeError)"}),
        (TaskFailed("no", error=5), {"code": "5", "message": "no"}),
        (TaskFailed("no", error="\ud800"), {"code": "\\ud800", "message": "no"}),
        (TaskFailed("no", error="cancelled"), {"code": "cancelled", "message": "no"}),
        (TaskFailed("no", details=[1]), {"code": "failed", "message": "no", "details": {"value": [1]}}),
        (TaskFailed("no", details={"a": b"x"}), {"code": "failed", "message": "no", "details": {"value": "{'a': b'x'}"}}),
        (ValueError("x" * 20_000), {"message": "ValueError: " + "x" * 10_000 + "… (20,000 characters)"}),
    ],
)
async def test_an_error_is_told_as_far_as_it_can_be(error, told):
    tree = await run([group("root"), task("a", "fails"), task("b", "noop")], failing(error), noop)

    assert (tree.tasks["a"].status, tree.tasks["b"].status) == ("failed", "completed")
    assert told.items() <= tree.tasks["a"].error.items()


async def test_the_furthest_retry_can_be_stored_and_shown():
    async with engine_of(failing(Retry(1e30))) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "fails")], execute=True)
        async for event in engine.watch("root"):
            if event.type == "task_waiting":
                break
        shown = await engine.call("tasks.get", {"task_id": "root"}, Caller.local())

    assert shown["wait"]["until"] == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("message", "told"),
    [(b"bytes", "b'bytes'"), ("\ud800", "\\ud800"), (7, "7"), ("x" * 20_000, "x" * 10_000 + "… (20,000 characters)")],
)
async def test_a_message_of_progress_is_told_as_far_as_it_can_be(message, told):
    @executor("tells")
    async def tells(context: TaskContext):
        context.report(0.5, message)

    async with engine_of(tells) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "tells")])
        done = await engine.manager.distribute_task_tree(tree)
        events = await engine.storage.events("root")

    assert done.status == "completed"
    assert [event.data["message"] for event in events if event.type == "task_progress"] == [told]


async def test_progress_that_is_no_number_fails_the_task_that_tells_it(tmp_path):
    @executor("tells")
    async def tells(context: TaskContext):
        context.report(float("nan"))

    tree = await run([group("root"), task("a", "tells"), task("b", "noop")], tells, noop)

    assert tree.tasks["a"].error["message"] == "ValueError: progress = nan: must be a number from 0 to 1"
    assert tree.tasks["b"].status == "completed"


async def test_what_an_executor_does_to_its_task_changes_nothing():
    @executor("meddles")
    async def meddles(context: TaskContext):
        context.task.status, context.task.key, context.task.executor = "completed", "other", None
        return context.task.id

    tree = await run([task("root", "meddles")], meddles)

    assert (tree.root.key, tree.root.executor, tree.root.status, tree.root.result) == ("root", "meddles", "completed", "root")


@pytest.mark.parametrize("error", [Speechless(), asyncio.CancelledError(), SystemExit(3)])
async def test_however_cancelling_fails_the_coroutine_is_ended_within_its_grace(error):
    ended = asyncio.Event()

    class Stubborn:
        id = "stubborn"
        began = asyncio.Event()

        async def execute(self, inputs):
            self.began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def cancel(self, context):
            raise error

    await _cancelled(Stubborn())
    assert ended.is_set()


async def test_a_cancelling_that_takes_too_long_leaves_the_coroutine_some_of_the_grace():
    class Slow:
        id = "slow"
        began = asyncio.Event()

        async def execute(self, inputs):
            self.began.set()
            await asyncio.Event().wait()

        async def cancel(self, context):
            await asyncio.Event().wait()

    task = await _cancelled(Slow(), cancel_grace=0.2)
    assert task.error["code"] == "cancelled"


async def _cancelled(stubborn, **options):
    async with engine_of(stubborn, **options) as engine:
        await engine.creator.create_task_tree_from_array([task("root", stubborn.id)], execute=True)
        await stubborn.began.wait()
        await engine.manager.cancel("root")
        done = await asyncio.wait_for(engine.manager.wait("root"), 30)
        assert (done.root.status, engine.manager.abandoned) == ("cancelled", 0)
        return done.root


async def test_an_observer_that_cannot_say_what_is_wrong_keeps_nobody_waiting():
    class Observer:
        seen = 0

        @hookimpl
        def apflow_event(self, event):
            self.seen += 1
            raise Speechless

    observer = Observer()
    tree = await asyncio.wait_for(run([task("root", "noop")], noop, plugins={"observer": observer}), 30)

    assert tree.status == "completed"
    assert observer.seen > 0
