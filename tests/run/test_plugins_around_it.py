"""What plugins do to attempts: hooks before and after, policies, observers; and what a new author writes."""

from __future__ import annotations

import asyncio

import pytest
from attrs import frozen
from samples import add, echo, group, noop, run, task

from apflow.config import Settings
from apflow.testing import engine_of
from apflow_hookspecs import Policy, Problem, TaskContext, TaskQuery, executor, hookimpl
from apflow_hookspecs.errors import ApflowError, InvalidTask


class Before:
    def __init__(self, change):
        self.change = change

    @hookimpl
    async def apflow_before_execute(self, inputs):
        return self.change(inputs)


async def test_a_hook_changes_the_inputs_and_what_it_left_is_stored():
    async with engine_of(echo, plugins={"before": Before(lambda inputs: {"value": inputs["value"] + 1})}) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "echo", value=1)])
        done = await engine.manager.distribute_task_tree(tree)

        assert done.root.result == 2
        assert done.root.inputs == {"value": 1}
        assert await engine.storage.resolved("root") == {0: b'{"value":2}'}


async def test_a_hook_that_raises_denies_the_task():
    def refuse(inputs):
        raise RuntimeError("not on a Sunday")

    tree = await run([task("root", "echo", value=1)], echo, plugins={"before": Before(refuse)})

    assert tree.root.error["code"] == "denied"
    assert "not on a Sunday" in tree.root.error["message"]


async def test_a_hook_may_add_an_input_that_is_missing():
    tree = await run([task("root", "add")], add, plugins={"before": Before(lambda inputs: {**inputs, "a": 4})})

    assert tree.root.result == 5


async def test_a_hook_changes_the_result():
    class After:
        @hookimpl
        def apflow_after_execute(self, task, result):
            return {"checked": result}

    tree = await run([task("root", "add", a=1)], add, plugins={"after": After()})

    assert tree.root.result == {"checked": 2}


def policy(name, order, log, options=None):
    async def around(call_next, context, options):
        log.append(name)
        return await call_next()

    return Policy(name, around, options=options, order=order)


async def test_policies_are_folded_by_their_order_whatever_the_order_of_their_names():
    log = []
    policies = [policy("z", 100, log), policy("a", 300, log), policy("m", 200, log), policy("b", 300, log)]
    await run([task("root", "noop", policies={name: {} for name in "abmz"})], noop, policies=policies)

    assert log == ["z", "m", "a", "b"]


async def test_policies_of_the_configuration_apply_to_tasks_that_do_not_name_them():
    seen = []

    @frozen
    class Options:
        level: int = 1

    async def around(call_next, context, options):
        seen.append((context.task.key, options.level))
        return await call_next()

    await run(
        [group("root"), task("plain", "noop"), task("own", "noop", policies={"p": {"level": 9}}), task("e", "echo")],
        noop,
        echo,
        policies=[Policy("p", around, options=Options)],
        settings=Settings(db="memory:", policies={"p": {"level": 2}}, executor_policies={"echo": {"p": {"level": 3}}}),
    )

    assert sorted(seen) == [("e", 3), ("own", 9), ("plain", 2)]


async def test_options_of_a_policy_are_refused_when_the_tree_is_created():
    @frozen
    class Options:
        attempts: int = 3

    bad = {"patient": {"attempts": "many", "delay": 1}}
    with pytest.raises(InvalidTask) as refused:
        await run([task("root", "noop", policies=bad)], noop, policies=[policy("patient", 1, [], Options)])

    assert {p.field for p in refused.value.problems} == {"policies.patient.attempts", "policies.patient.delay"}


async def test_a_policy_may_answer_in_place_of_the_executor():
    async def around(call_next, context, options):
        return "from the cache"

    tree = await run([task("root", "echo", value=1, policies={"cache": {}})], echo, policies=[Policy("cache", around)])

    assert tree.root.result == "from the cache"


async def test_observers_see_every_event_in_order_and_only_what_is_stored():
    seen = []

    class Observer:
        engine = None

        @hookimpl
        def apflow_startup(self, engine):
            self.engine = engine

        @hookimpl
        async def apflow_event(self, event):
            stored = await self.engine.storage.events(event.tree_id, event.seq - 1, 1)
            seen.append((event.seq, stored == [event]))

    async with engine_of(add, plugins={"observer": Observer()}) as engine:
        tree = await engine.creator.create_task_tree_from_array([group("root"), task("a", "add", a=1)])
        await engine.manager.distribute_task_tree(tree)
        events = await engine.storage.events("root")

    assert seen == [(event.seq, True) for event in events]


async def test_an_observer_that_raises_changes_nothing():
    class Broken:
        @hookimpl
        def apflow_event(self, event):
            raise ValueError("observer")

    tree = await run([task("root", "noop")], noop, plugins={"broken": Broken()})

    assert tree.status == "completed"


async def test_a_validator_sync_or_async_refuses_a_tree_by_its_own_words():
    class Strict:
        @hookimpl
        async def apflow_validate_task(self, task, tree):
            await asyncio.sleep(0)
            return [Problem("must not shout", task=task.key, field="name", value=task.name)] if task.name.isupper() else []

        @hookimpl
        def apflow_validate_tree(self, tree):
            if len(tree) > 2:
                yield Problem(f"at most 2 tasks, and there are {len(tree)}")

    async with engine_of(noop, plugins={"strict": Strict()}) as engine:
        with pytest.raises(ApflowError) as refused:
            await engine.creator.create_task_tree_from_array([group("root"), task("A", "noop"), task("b", "noop")])

        assert [str(p) for p in refused.value.problems] == [
            "task 'A', name = 'A': must not shout",
            "at most 2 tasks, and there are 3",
        ]
        assert await engine.storage.count(TaskQuery()) == {}


async def test_a_class_with_execute_is_an_executor_and_may_wrap_another():
    class Twice:
        id = "twice"

        def __init__(self, inner):
            self.inner = inner

        async def execute(self, inputs):
            return [await self.inner.execute(inputs), await self.inner.execute(inputs)]

    tree = await run([task("root", "twice", a=1)], Twice(add))

    assert tree.root.result == [2, 2]


async def test_the_context_holds_what_an_attempt_may_know():
    @frozen
    class Params:
        region: str = "eu"

    @executor("look", params=Params)
    async def look(context: TaskContext):
        return [
            context.attempt,
            context.params.region,
            context.results["bad"],
            context.results["good"],
            context.origin,
            context.user_id,
        ]

    @executor("bad")
    async def bad():
        raise KeyError("x")

    tree = await run(
        [
            group("root", user_id="ada"),
            task("good", "add", a=1),
            task("bad", "bad"),
            task("look", "look", dependencies=["good", {"id": "bad", "required": False}], params={"region": "us"}),
        ],
        add,
        bad,
        look,
    )

    attempt, region, failed, good, origin, user = tree.tasks["look"].result
    assert (attempt, region, good, origin, user) == (1, "us", 2, "local", "ada")
    assert failed["code"] == "failed"


async def test_two_engines_live_side_by_side():
    @executor("who")
    async def one():
        return "one"

    @executor("who")
    async def two():
        return "two"

    trees = await asyncio.gather(run([task("root", "who")], one), run([task("root", "who")], two))

    assert [tree.root.result for tree in trees] == ["one", "two"]


async def test_an_executor_sees_in_its_context_what_it_is_called_with():
    @executor("seen")
    async def seen(context: TaskContext, value: int = 0):
        return {"called": value, "inputs": dict(context.inputs)}

    done = await run([group("root"), task("a", "add", a=1), task("b", "seen", value={"$from": "a"})], add, seen)
    assert done.tasks["b"].result == {"called": 2, "inputs": {"value": 2}}
