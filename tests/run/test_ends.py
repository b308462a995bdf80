"""However an executor behaves, its task comes to one end and the engine lives on."""

from __future__ import annotations

import asyncio
import threading

import pytest
from samples import add, echo, group, noop, run, task

from apflow.testing import engine_of
from apflow_hookspecs import Lost, Policy, Retry, TaskContext, TaskFailed, Wait, executor


@executor("raise")
async def raising(name: str):
    raise {
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "generator": GeneratorExit(),
        "group": BaseExceptionGroup("several", [ValueError("one"), SystemExit(2)]),
        "memory": MemoryError(),
        "recursion": RecursionError("deep"),
        "own": asyncio.CancelledError(),
        "stop": StopAsyncIteration(),
    }[name]


@pytest.mark.parametrize("name", ["exit", "interrupt", "generator", "group", "memory", "recursion", "own", "stop"])
async def test_whatever_an_executor_raises_fails_its_task_and_nothing_else(name):
    tree = await run([group("root"), task("bad", "raise", name=name), task("good", "noop")], raising, noop)

    assert tree.tasks["bad"].status == "failed"
    assert tree.tasks["bad"].error["code"] == "failed"
    assert tree.tasks["good"].status == "completed"


async def test_a_task_fails_with_the_code_and_details_of_its_executors_choice():
    @executor("choosy")
    async def choosy():
        raise TaskFailed("the ice is too thin", error="denied", details={"thickness": 3})

    tree = await run([task("root", "choosy")], choosy)

    assert tree.root.error == {"code": "denied", "message": "the ice is too thin", "details": {"thickness": 3}}


async def test_what_cannot_be_stored_of_an_error_is_told_as_text():
    tree = await run([task("root", "odd")], odd)

    assert tree.status == "failed"
    assert "ValueError" in tree.root.error["message"]


@executor("odd")
async def odd():
    raise ValueError("nul \0 and half a \ud83d")


@executor("bad_result")
async def bad_result(kind: str):
    loop = []
    loop.append(loop)
    return {
        "nan": {"a": [float("nan")]},
        "infinity": float("-inf"),
        "bytes": {"a": b"x"},
        "set": {1},
        "cycle": loop,
        "surrogate": "\ud800",
        "nul": ["a\0b"],
        "big": {"n": 2**64},
        "key": {"a": {3: 4}},
        "object": {"a": object()},
    }[kind]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("nan", "/a/0"),
        ("infinity", ""),
        ("bytes", "/a"),
        ("set", ""),
        ("cycle", "/0"),
        ("surrogate", ""),
        ("nul", "/0"),
        ("big", "/n"),
        ("key", "/a"),
        ("object", "/a"),
    ],
)
async def test_a_result_that_is_not_json_fails_the_task_with_the_path(kind, path):
    tree = await run([task("root", "bad_result", kind=kind)], bad_result)

    assert tree.root.error["code"] == "bad_result"
    assert tree.root.error["details"]["path"] == path


async def test_a_result_beyond_the_limit_fails_the_task():
    tree = await run([task("root", "echo", value="x" * 100)], echo, max_result_bytes=50)

    assert tree.root.error["code"] == "bad_result"
    assert "max_result_bytes" in tree.root.error["message"]


@pytest.mark.parametrize("value", [2**63, -(2**63), 2**64 - 1, 0.1, -0.0, "ü💥\u202e", [], {}, {"a": {"b": [None, True]}}])
async def test_json_comes_back_as_it_went_in(value):
    async with engine_of(echo) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "echo", value=value)])
        done = await engine.manager.distribute_task_tree(tree)
        stored = await engine.storage.task("root")

    assert repr(done.root.result) == repr(stored.result) == repr(value)


async def test_a_task_that_runs_out_of_time_fails_and_is_told_to_stop():
    told = asyncio.Event()

    @executor("slow")
    async def slow():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.set()
            raise

    tree = await run([task("root", "slow", timeout=0.02)], slow)

    assert told.is_set()
    assert tree.root.error["code"] == "timeout"


async def test_an_attempt_that_does_not_stop_is_abandoned_and_its_late_result_is_lost():
    let_go = asyncio.Event()
    returned = asyncio.Event()

    @executor("deaf")
    async def deaf():
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        returned.set()
        return "late"

    async with engine_of(deaf, noop, cancel_grace=0.02) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("d", "deaf", timeout=0.02), task("n", "noop")]
        )
        done = await engine.manager.distribute_task_tree(tree)
        assert engine.manager.abandoned == 1
        let_go.set()
        await returned.wait()
        await asyncio.sleep(0)
        stored = await engine.storage.task("d")

    assert done.tasks["d"].error["code"] == "timeout"
    assert stored.result is None


async def test_a_result_that_comes_after_the_time_is_up_does_not_count():
    @executor("swallows")
    async def swallows():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "as if nothing had happened"

    tree = await run([task("root", "swallows", timeout=0.02)], swallows)

    assert tree.root.error["code"] == "timeout"


async def test_a_plain_function_runs_beside_the_event_loop():
    @executor("blocking")
    def blocking(context: TaskContext):
        return threading.get_ident()

    tree = await run([group("root"), task("a", "blocking"), task("b", "blocking")], blocking)

    assert threading.get_ident() not in {tree.tasks["a"].result, tree.tasks["b"].result}


async def test_more_plain_functions_block_at_once_than_there_are_cores():
    barrier = threading.Barrier(20, timeout=30)

    @executor("meet")
    def meet():
        barrier.wait()

    tree = await run([group("root"), *(task(f"t{i}", "meet") for i in range(20))], meet)

    assert tree.status == "completed"


async def test_an_executor_that_is_gone_when_its_task_runs_fails_it(tmp_path):
    import apflow_sqlite

    url, plugins = f"sqlite:///{tmp_path / 'flow.db'}", {"sqlite": apflow_sqlite}
    async with engine_of(add, url=url, plugins=plugins) as engine:
        await engine.creator.create_task_tree_from_array([task("root", "add", a=1)])
    async with engine_of(url=url, plugins=plugins) as engine:
        await engine.manager.execute("root")
        tree = await engine.manager.wait("root")

    assert tree.root.error["code"] == "executor_missing"
    assert "'add'" in tree.root.error["message"]


async def test_a_wait_for_an_instant_frees_the_slot_and_is_no_attempt():
    calls = []

    @executor("nap")
    async def nap(context: TaskContext):
        calls.append(context.attempt)
        if len(calls) == 1:
            return Wait.until(context.task.created_at)
        return "rested"

    async with engine_of(nap, max_concurrency=1) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "nap")])
        done = await engine.manager.distribute_task_tree(tree)
        types = [event.type for event in await engine.storage.events("root")]

    assert calls == [1, 1]
    assert done.root.result == "rested"
    assert types == [
        "tree_created",
        "tree_started",
        "task_started",
        "task_waiting",
        "task_resumed",
        "task_started",
        "task_settled",
        "tree_settled",
    ]


async def test_a_tree_of_which_only_waits_are_left_is_waiting():
    @executor("ask")
    async def ask():
        return Wait.for_input("Go on?")

    async with engine_of(ask, noop) as engine:
        tree = await engine.creator.create_task_tree_from_array(
            [group("root"), task("q", "ask"), task("n", "noop")], execute=True
        )
        async for event in engine.watch(tree.id):
            if event.type == "task_waiting":
                break
        stored = await engine.storage.tree("root")

    assert stored.status == "waiting"
    assert stored.tasks["q"].wait.prompt == "Go on?"


async def test_nobody_answers_in_time_and_the_task_fails():
    @executor("ask")
    async def ask(context: TaskContext):
        return Wait.for_input("Go on?", until=context.task.created_at)

    tree = await run([task("root", "ask")], ask)

    assert tree.root.error["code"] == "timeout"


async def test_a_retry_is_another_attempt_and_the_first_goes_into_the_history():
    seen = []

    @executor("flaky")
    async def flaky(context: TaskContext):
        seen.append(context.attempt)
        if context.attempt < 3:
            raise ConnectionError("away")
        return "there"

    async def around(call_next, context, options):
        try:
            return await call_next()
        except ConnectionError as error:
            raise Retry(after=0) from error

    async with engine_of(flaky, policies=[Policy("patient", around)]) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "flaky", policies={"patient": {}})])
        done = await engine.manager.distribute_task_tree(tree)
        history = await engine.storage.attempts("root")

    assert seen == [1, 2, 3]
    assert (done.root.result, done.root.attempt, done.root.recoveries) == ("there", 3, 0)
    assert [(a.attempt, a.outcome, a.error["message"]) for a in history] == [
        (1, "retried", "ConnectionError: away"),
        (2, "retried", "ConnectionError: away"),
    ]


async def test_lost_work_is_recovered_and_that_is_no_attempt():
    calls = []

    @executor("remote")
    async def remote(context: TaskContext):
        calls.append(context.attempt)
        if len(calls) < 3:
            raise Lost("the worker is gone")
        return "done"

    tree = await run([task("root", "remote")], remote)

    assert calls == [1, 1, 1]
    assert (tree.root.status, tree.root.attempt, tree.root.recoveries) == ("completed", 1, 2)


async def test_work_that_is_lost_again_and_again_fails_in_the_end():
    @executor("remote")
    async def remote():
        raise Lost("the worker is gone")

    tree = await run([task("root", "remote")], remote, max_recoveries=2)

    assert tree.root.error["code"] == "recovery_limit"
    assert tree.root.recoveries == 2


async def test_what_must_not_run_twice_is_not_recovered():
    @executor("charge", on_crash="fail")
    async def charge():
        raise Lost("the worker is gone")

    tree = await run([task("root", "charge")], charge)

    assert tree.root.error["code"] == "interrupted"


async def test_the_idempotency_key_is_the_same_for_every_attempt():
    keys = []

    @executor("keyed")
    async def keyed(context: TaskContext):
        keys.append(context.idempotency_key)
        if len(keys) < 3:
            raise Lost("gone")

    await run([task("root", "keyed")], keyed)

    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_progress_is_shown_while_the_task_runs():
    told = asyncio.Event()

    @executor("steps")
    async def steps(context: TaskContext):
        context.report(0.25, "a quarter")
        await told.wait()

    async with engine_of(steps) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "steps")], execute=True)
        async for event in engine.watch(tree.id):
            if event.type == "task_progress":
                assert event.data == {"progress": 0.25, "message": "a quarter"}
                assert (await engine.storage.task("root")).progress == 0.25
                assert (await engine.tree("root")).progress == 0.25
                told.set()
        assert (await engine.tree("root")).progress == 1.0


async def test_a_plain_function_can_report_progress_from_its_thread():
    release = threading.Event()

    @executor("steps")
    def steps(context: TaskContext):
        context.report(0.5)
        release.wait(30)

    async with engine_of(steps) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "steps")], execute=True)
        async for event in engine.watch(tree.id):
            if event.type == "task_progress":
                release.set()
        assert (await engine.tree("root")).status == "completed"


@pytest.mark.parametrize(
    "wait",
    [
        Wait("until", None),
        Wait("retry", 5),
        Wait("input", None, object()),
        Wait("input", "soon"),
        Wait("nap"),
        Wait.until(2**60),
    ],
)
async def test_what_is_no_wait_fails_the_task(wait):
    @executor("odd")
    async def odd():
        return wait

    tree = await run([task("root", "odd")], odd)

    assert tree.root.error["code"] == "bad_result"


@pytest.mark.parametrize("after", [float("inf"), float("nan"), -1])
async def test_a_retry_at_no_time_fails_the_task(after):
    @executor("odd")
    async def odd():
        raise Retry(after)

    tree = await run([task("root", "odd")], odd)

    assert "not below 0" in tree.root.error["message"]
