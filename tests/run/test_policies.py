"""What the engine does for policies: it folds them, carries their decisions out, and tells them what they have to know."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
from attrs import frozen
from samples import echo, group, noop, run, task

from apflow.config import Settings
from apflow.memory.storage import MemoryStorage
from apflow.testing import engine_of
from apflow.testing.clock import NOON, VirtualClock
from apflow.testing.faults import Lifeline, lent
from apflow.testing.hosting import Handed
from apflow_hookspecs import Caller, Policy, Retry, TaskContext, TaskFailed, Wait, executor
from apflow_hookspecs.errors import InvalidTask

SECOND = 1_000_000
PLUGINS = Path(__file__).parents[2] / "plugins"


@frozen
class Options:
    attempts: int = 3
    after: float = 60.0


async def again(call_next, context, options):
    try:
        return await call_next()
    except TaskFailed as error:
        if context.attempt >= options.attempts:
            raise
        raise Retry(options.after * context.attempt) from error


AGAIN = Policy("again", again, options=Options, order=200)


@executor("flaky")
async def flaky(context: TaskContext, good: int = 3):
    if context.attempt < good:
        raise TaskFailed(f"try {context.attempt}", error="denied", details={"try": context.attempt})
    return context.attempt


@executor("slow")
async def slow(seconds: float = 3600.0):
    await asyncio.sleep(seconds)
    return "done"


async def settled(engine, *tasks):
    """The only task of a tree, once it has settled."""
    tree = await engine.creator.create_task_tree_from_array(list(tasks))
    return (await engine.manager.distribute_task_tree(tree)).root


def on_clock(scenario, *executors, **options):
    """What `scenario(engine)` returns, in no time."""

    async def opened():
        async with engine_of(*executors, **options) as engine:
            return await scenario(engine)

    return VirtualClock().run(opened())


async def until(engine, type_, times=1):
    """The next event of a type; or a later one."""
    async with asyncio.timeout(600):
        async for event in engine.watch("root"):
            times -= event.type == type_
            if not times:
                return event
    raise AssertionError(type_)


async def history(engine):
    """What each attempt came to."""
    attempts = (await engine.call("tasks.history", ["root"], Caller.local()))["attempts"]
    return [(each["attempt"], each["outcome"]) for each in attempts]


# -- which, and in which order ----------------------------------------------------------------------------------------


def noting(name, order, log):
    async def around(call_next, context, options):
        log.append(f"{name}{context.attempt} in")
        try:
            return await call_next()
        finally:
            log.append(f"{name}{context.attempt} out")

    return Policy(name, around, order=order)


@pytest.mark.parametrize("installed", list(itertools.permutations("zmab")), ids="".join)
async def test_policies_of_third_parties_are_folded_by_order_and_then_by_name_however_they_are_installed(installed):
    log = []
    orders = {"z": 100, "m": 200, "a": 300, "b": 300}
    plugins = {f"plugin-{n}": Handed(policies=(noting(name, orders[name], log),)) for n, name in enumerate(installed)}
    await run([task("root", "noop", policies={name: {} for name in installed})], noop, plugins=plugins)

    assert log == ["z1 in", "m1 in", "a1 in", "b1 in", "b1 out", "a1 out", "m1 out", "z1 out"]


async def test_every_attempt_enters_the_whole_chain():
    log = []
    policies = [noting("outer", 100, log), AGAIN, noting("inner", 400, log)]
    wanted = {"outer": {}, "again": {"after": 0}, "inner": {}}
    done = await run([task("root", "flaky", policies=wanted)], flaky, policies=policies)

    assert done.root.result == 3
    assert log == [f"{name} {way}" for n in "123" for name, way in [
        (f"outer{n}", "in"), (f"inner{n}", "in"), (f"inner{n}", "out"), (f"outer{n}", "out"),
    ]]  # fmt: skip


async def test_a_tasks_own_options_go_before_those_of_its_executor_and_these_before_those_of_all():
    seen = []

    @frozen
    class Level:
        level: int = 0

    def leveled(name):
        async def around(call_next, context, options):
            seen.append((context.task.key, name, options.level))
            return await call_next()

        return Policy(name, around, options=Level)

    everywhere, by_executor = {"p": {"level": 1}, "q": {"level": 1}}, {"echo": {"p": {"level": 2}}}
    await run(
        [
            group("root"),
            task("of_all", "noop"),
            task("of_echo", "echo"),
            task("own", "echo", policies={"p": {}, "r": {"level": 7}}),
        ],
        noop,
        echo,
        policies=[leveled(name) for name in "pqr"],
        settings=Settings(db="memory:", policies=everywhere, executor_policies=by_executor),
    )

    assert sorted(seen) == [
        ("of_all", "p", 1), ("of_all", "q", 1), ("of_echo", "p", 2), ("of_echo", "q", 1),
        ("own", "p", 0), ("own", "q", 1), ("own", "r", 7),
    ]  # fmt: skip


def policy_plugins():
    """The plugins of this repository that provide policies, each made anew, by name."""
    found = {}
    for project in PLUGINS.glob("*/pyproject.toml"):
        for name, target in tomllib.loads(project.read_text())["project"]["entry-points"]["apflow"].items():
            plugin = resolve_name(target)
            if hasattr(plugin, "apflow_policies"):
                found[name] = plugin() if isinstance(plugin, type) else plugin
    return found


def calls_of(tasks, plugins):
    """How many functions of Python are called to run a tree."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event == "call"

    async def scenario(engine):
        tree = await engine.creator.create_task_tree_from_array(tasks)
        gc.collect()
        gc.disable()  # what earlier tests left calls functions when it is cleared away
        sys.setprofile(profile)
        try:
            await engine.manager.distribute_task_tree(tree)
        finally:
            sys.setprofile(None)
            gc.enable()
        return count

    return on_clock(scenario, noop, echo, plugins=plugins)


def test_policies_that_no_task_asks_for_cost_not_one_call():
    tasks = [group("root"), *(task(f"t{n}", ["noop", "echo"][n % 2]) for n in range(50))]
    plugins = policy_plugins()
    assert plugins.keys() >= {"cache", "circuit", "limit", "retry"}
    calls_of(tasks, plugins)  # what is done once in a process

    assert calls_of(tasks, plugins) == calls_of(tasks, {})


# -- attempts ---------------------------------------------------------------------------------------------------------


def test_the_history_and_the_events_tell_error_and_delay_of_each_attempt():
    async def scenario(engine):
        done = await settled(engine, task("root", "flaky", policies={"again": {"after": 2.5}}))
        told = (await engine.call("tasks.history", ["root"], Caller.local()))["attempts"]
        return done, told, await engine.storage.events("root")

    done, told, events = on_clock(scenario, flaky, policies=[AGAIN])
    errors = [{"code": "denied", "message": f"try {n}", "details": {"try": n}, "retry_after": 2.5 * n} for n in (1, 2)]
    assert (done.status, done.attempt, done.error, done.wait) == ("completed", 3, None, None)
    assert [(each["attempt"], each["outcome"], each["error"]) for each in told] == [
        (1, "retried", errors[0]), (2, "retried", errors[1]), (3, "completed", None),
    ]  # fmt: skip
    waits = [event for event in events if event.type == "task_waiting"]
    assert [event.data["error"] for event in waits] == errors
    assert [(event.attempt, event.data["wait"]["kind"], event.data["wait"]["until"] - event.at) for event in waits] == [
        (1, "retry", 2_500_000), (2, "retry", 5_000_000),
    ]  # fmt: skip
    starts = [event.at - NOON for event in events if event.type == "task_started"]
    assert [round(at / SECOND, 1) for at in starts] == [0, 2.5, 7.5]


def test_a_task_that_waits_for_its_next_attempt_has_the_error_of_the_last_and_no_slot():
    async def scenario(engine):
        tasks = [group("root"), task("a", "flaky", policies={"again": {}}), task("b", "slow", seconds=5.0, priority=9)]
        tree = await engine.creator.create_task_tree_from_array(tasks, execute=True)
        await asyncio.sleep(30)
        meanwhile = [await engine.call("tasks.get", [key], Caller.local()) for key in "ab"]
        return *meanwhile, await engine.manager.wait(tree.id)

    a, b, done = on_clock(scenario, flaky, slow, policies=[AGAIN], max_concurrency=1)
    assert (a["status"], a["wait"]["kind"], a["wait"]["policy"], a["attempt"]) == ("waiting", "retry", None, 1)
    assert (a["error"]["message"], a["error"]["retry_after"]) == ("try 1", 60.0)
    assert b["status"] == "completed"
    assert done.status == "completed"


async def test_a_retry_outlives_the_engine_and_goes_on_with_the_next_number(tmp_path):
    import apflow_sqlite

    place = {"url": f"sqlite:///{tmp_path / 'flow.db'}", "plugins": {"sqlite": apflow_sqlite}}
    tasks = [task("root", "flaky", policies={"again": {"after": 0.2}})]
    async with engine_of(flaky, policies=[AGAIN], **place) as engine:
        await engine.creator.create_task_tree_from_array(tasks, execute=True)
        await until(engine, "task_waiting")
    async with engine_of(flaky, policies=[AGAIN], **place) as engine:
        await engine.manager.resume("root")
        done = await asyncio.wait_for(engine.manager.wait("root"), 60)
        assert (done.root.result, done.root.attempt, done.root.recoveries) == (3, 3, 0)
        assert await history(engine) == [(1, "retried"), (2, "retried"), (3, "completed")]


def restarted(*executors, at, policies, tasks):
    """A tree whose engine dies some seconds after its start, and that the next one ends: its root, the history, and when."""
    clock, storage = VirtualClock(), MemoryStorage()

    async def lives():
        lifeline = Lifeline(storage)
        async with engine_of(*executors, policies=policies, **lent(lifeline)) as engine:
            await engine.creator.create_task_tree_from_array(tasks, execute=True)
            await asyncio.sleep(at)
            lifeline.cut()
        async with engine_of(*executors, policies=policies, **lent(storage)) as engine:
            await engine.manager.resume("root")
            done = await engine.manager.wait("root")
            return done.root, await history(engine), round(clock.monotonic())

    return clock.run(lives())


def test_a_long_delay_goes_on_after_the_end_of_the_process_where_it_was():
    tasks = [task("root", "flaky", good=2, policies={"again": {"after": 3600}})]
    done, told, ended = restarted(flaky, at=1800, policies=[AGAIN], tasks=tasks)
    assert (done.result, done.recoveries, told, ended) == (2, 0, [(1, "retried"), (2, "completed")], 3600)


def test_a_crash_is_not_an_attempt_and_an_attempt_is_not_a_recovery():
    begun = []

    @executor("long")
    async def long(context: TaskContext):
        begun.append(context.attempt)
        await asyncio.sleep(100)
        return await flaky.function(context)

    tasks = [task("root", "long", policies={"again": {}})]
    done, told, _ = restarted(long, at=200, policies=[AGAIN], tasks=tasks)
    assert begun == [1, 2, 2, 3]
    assert (done.result, done.attempt, done.recoveries) == (3, 3, 1)
    assert told == [(1, "retried"), (2, "recovered"), (2, "retried"), (3, "completed")]


def test_a_task_that_is_cancelled_between_attempts_ends_at_once():
    async def scenario(engine):
        tree = await engine.creator.create_task_tree_from_array([task("root", "flaky", policies={"again": {}})], execute=True)
        await asyncio.sleep(10)
        await engine.manager.cancel("root")
        done = (await engine.manager.wait(tree.id)).root
        return done, done.completed_at - NOON, await history(engine)

    done, ended, told = on_clock(scenario, flaky, policies=[AGAIN])
    assert (done.status, done.attempt, done.wait) == ("cancelled", 1, None)
    assert 10 * SECOND <= ended < 10.1 * SECOND
    assert told[0] == (1, "retried")


def test_a_policy_knows_the_inputs_and_since_when_the_run_goes_on_also_after_a_restart():
    seen = []

    async def looks(call_next, context, options):
        seen.append((context.attempt, dict(context.inputs), round((context.since - NOON) / SECOND), context.idempotency_key))
        return await call_next()

    @executor("first")
    async def first():
        await asyncio.sleep(7)
        return {"body": 2}

    policies = {"again": {"after": 100}, "looks": {}}
    leaf = task("leaf", "flaky", good={"$from": "early", "path": "/body"}, policies=policies)
    tasks = [group("root"), task("early", "first"), leaf]
    restarted(first, flaky, at=50, policies=[AGAIN, Policy("looks", looks)], tasks=tasks)
    assert seen == [(1, {"good": 2}, 7, "leaf:1"), (2, {"good": 2}, 7, "leaf:1")]


# -- the end of time --------------------------------------------------------------------------------------------------


def late(answer):
    """A policy that answers the end of time by calling `answer(error, context)`."""

    async def around(call_next, context, options):
        try:
            return await call_next()
        except TaskFailed as error:
            return await answer(error, context) if error.error == "timeout" else "no end of time"

    return Policy("late", around)


def out_of_time(answer, act=None, **options):
    """The only task of a tree, whose time is over after ten seconds; `act(engine)` is done while the policy answers."""

    async def scenario(engine):
        tasks = [task("root", "slow", timeout=10, policies={"late": {}})]
        await engine.creator.create_task_tree_from_array(tasks, execute=True)
        if act is not None:
            await asyncio.sleep(12)
            await act(engine)
        done = (await engine.manager.wait("root")).root
        return done, round((done.completed_at - NOON) / SECOND), await history(engine), engine.manager.abandoned

    return on_clock(scenario, slow, policies=[late(answer)], **options)


def test_an_attempt_whose_time_is_over_can_be_made_again():
    async def answer(error, context):
        if context.attempt == 2:
            return "enough"
        raise Retry(30) from error

    done, ended, told, _ = out_of_time(answer)
    assert (done.result, ended, told) == ("enough", 50, [(1, "retried"), (2, "completed")])


def test_or_be_answered_with_another_result():
    async def answer(error, context):
        await asyncio.sleep(2)
        return "what was there"

    done, ended, told, _ = out_of_time(answer)
    assert (done.status, done.result, ended, told) == ("completed", "what was there", 12, [(1, "completed")])


def test_or_be_passed_on():
    async def answer(error, context):
        raise error

    done, ended, told, _ = out_of_time(answer)
    assert (done.status, done.error["code"], ended, told) == ("failed", "timeout", 10, [(1, "failed")])


def test_a_task_that_is_cancelled_while_its_policies_answer_is_cancelled():
    async def answer(error, context):
        await asyncio.sleep(4)
        return "too late"

    done, ended, _, abandoned = out_of_time(answer, lambda engine: engine.manager.cancel("root"))
    assert (done.status, done.error["code"], done.result, ended, abandoned) == ("cancelled", "cancelled", None, 12, 0)


def test_a_policy_that_does_not_come_to_an_end_is_abandoned_as_out_of_time():
    async def answer(error, context):
        await asyncio.sleep(3600)

    done, ended, _, abandoned = out_of_time(answer, cancel_grace=20)
    assert (done.status, done.error["code"], ended, abandoned) == ("failed", "timeout", 30, 1)


# -- a policy's wait --------------------------------------------------------------------------------------------------


def test_a_policys_wait_leaves_the_executors_own_wait_and_answer_alone_and_is_no_attempt():
    seen = []

    async def later(call_next, context, options):
        own = context.wait and context.wait.prompt
        seen.append((own, context.answer, context.policy_wait and context.policy_wait.policy, context.attempt))
        if context.policy_wait is None:
            return Wait.until(NOON + (60 if own is None else 200) * SECOND)
        return await call_next()

    @executor("ask")
    async def ask(context: TaskContext):
        return Wait.for_input("Sure?") if context.wait is None else [context.wait.prompt, context.answer]

    async def scenario(engine):
        await engine.creator.create_task_tree_from_array([task("root", "ask", policies={"later": {}})], execute=True)
        await asyncio.sleep(30)
        held = await engine.call("tasks.get", ["root"], Caller.local())
        await asyncio.sleep(70)
        await engine.manager.answer("root", "yes")
        return held, (await engine.manager.wait("root")).root, await history(engine)

    held, done, told = on_clock(scenario, ask, policies=[Policy("later", later)])
    assert (held["wait"]["kind"], held["wait"]["policy"]) == ("until", "later")
    assert seen == [
        (None, None, None, 1), (None, None, "later", 1), ("Sure?", "yes", None, 1), ("Sure?", "yes", "later", 1),
    ]  # fmt: skip
    assert (done.result, done.attempt, done.completed_at - NOON) == (["Sure?", "yes"], 1, 200 * SECOND)
    assert told == [(1, "completed")]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "field", "told"),
    [
        ({"agian": {}}, "policies.agian", "no plugin provides the policy 'agian'; did you mean 'again'?"),
        ({"again": {"attempts": "many"}}, "policies.again.attempts", "must be an integer"),
        ({"again": 3}, "policies.again", "must be an object"),
    ],
    ids=str,
)
async def test_what_no_policy_takes_is_refused_when_the_tree_is_created(policies, field, told):
    with pytest.raises(InvalidTask) as refused:
        await run([task("root", "noop", policies=policies)], noop, policies=[AGAIN])

    assert [(problem.field, problem.rule) for problem in refused.value.problems] == [(field, told)]


@frozen
class Tries:
    attempts: int = 3


async def through(call_next, context, options):
    return await call_next()


@pytest.mark.parametrize(
    ("policies", "field", "told"),
    [
        ({"again": {"atempts": 3}}, "policies.again.atempts", "there is no such field; did you mean 'attempts'?"),
        ({"again": {"attempts": "3"}}, "policies.again.attempts", "must be an integer"),
        ({"plain": {"attempts": 3}}, "policies.plain.attempts", "plain takes no options"),
        ({"retry": {}}, "policies.retry", "policy 'retry' comes with apflow-retry, which is not installed"),
        ({"cache": {}}, "policies.cache", "policy 'cache' comes with apflow-cache, which is not installed"),
        ({"agian": {}}, "policies.agian", "no plugin provides the policy 'agian'; did you mean 'again'?"),
    ],
    ids=str,
)
async def test_what_is_no_policy_and_what_it_does_not_take_is_refused_with_what_to_do(policies, field, told):
    there = [Policy("again", through, options=Tries), Policy("plain", through)]
    with pytest.raises(InvalidTask) as refused:
        await run([task("root", "noop", policies=policies)], noop, policies=there)
    (problem,) = refused.value.problems
    assert (problem.field, problem.rule) == (field, told)
