from contextlib import asynccontextmanager

import msgspec
import pytest
from samples import Recorder, echo, group, noop, task

from apflow.config import Settings
from apflow.explaining import Explanation
from apflow.memory.storage import MemoryStorage
from apflow.operations.explaining import ExplanationView, sentence
from apflow.testing import engine_of
from apflow.testing.faults import lent
from apflow_hookspecs import (
    MAX_INSTANT,
    Caller,
    Dependency,
    Policy,
    Retry,
    Task,
    TaskContext,
    TaskStatus,
    TaskTree,
    Wait,
    executor,
)
from apflow_hookspecs.errors import NotFound

from .conftest import ADA, BOB

LAST = "9999-12-31T23:59:59.999999Z"


@executor("ask")
async def ask(context: TaskContext, until: int | None = None):
    return context.answer if context.wait else Wait.for_input("Ship it?", until=until)


@executor("late")
async def late():
    return Wait.until(MAX_INSTANT)


@executor("flaky")
async def flaky():
    raise Retry(after=3600) from ConnectionError("no route")


async def hold(call_next, context, options):
    return Wait.until(MAX_INSTANT)


async def explained(engine, task_id, caller=Caller.local()):  # noqa: B008 - it is frozen
    found = await engine.call("tasks.explain", {"task_id": task_id}, caller)
    assert msgspec.convert(found, ExplanationView) == found
    return found


async def until(engine, type_, task_id):
    async for event in engine.watch("root"):
        if (event.type, event.task_id) == (type_, task_id):
            return


@asynccontextmanager
async def at_gate(*tasks, **options):
    """An engine that runs a tree of which a task, `held`, has started."""
    recorder = Recorder()
    async with engine_of(noop, echo, *recorder.executors(), **options) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), task("held", "held"), *tasks], execute=True)
        await recorder.at_gate.wait()
        yield engine
        recorder.gate.set()


@asynccontextmanager
async def waiting(*tasks, **options):
    """An engine that runs a tree of which a task, `a`, waits."""
    async with engine_of(ask, late, flaky, noop, **options) as engine:
        await engine.creator.create_task_tree_from_array([group("root"), *tasks], execute=True)
        await until(engine, "task_waiting", "a")
        yield engine


async def test_a_task_that_nobody_asked_to_run_says_how_to_run_it(call, stored):
    found = await call("tasks.explain", ["root"], ADA)
    assert found == {
        "task_id": "root",
        "key": "root",
        "status": "pending",
        "reason": "not_requested",
        "message": "task 'root' was not asked to run; `apflow tasks execute root` runs it",
        "waits_for": [{"task_id": "leaf", "key": "leaf", "status": "pending", "required": True}],
        "limit": None,
        "wait": None,
    }


async def test_another_users_task_is_not_explained(call, stored):
    with pytest.raises(NotFound, match="there is no task 'root'"):
        await call("tasks.explain", ["root"], BOB)


async def test_a_task_says_which_dependencies_it_waits_for_and_how_they_stand():
    before = [task("b", "noop", dependencies=["held"]), task("done", "noop")]
    optional = {"id": "b", "required": False}
    last = task("c", "echo", dependencies=["done", optional, "held"])
    referring = task("d", "echo", value={"$from": "b"})
    async with at_gate(*before, last, referring) as engine:
        await until(engine, "task_settled", "done")
        found = await explained(engine, "c")
        assert found["reason"] == "dependencies"
        assert found["message"] == "task 'c' waits for 'b' (pending, optional) and 'held' (in progress)"
        assert found["waits_for"] == [
            {"task_id": "b", "key": "b", "status": "pending", "required": False},
            {"task_id": "held", "key": "held", "status": "in_progress", "required": True},
        ]
        found = await explained(engine, "d")
        assert found["message"] == "task 'd' waits for 'b' (pending); `apflow tasks explain b` tells why"
        assert found["waits_for"][0]["required"]


async def test_a_task_that_has_started_says_since_when():
    async with at_gate() as engine:
        found = await explained(engine, "held")
        started = (await engine.call("tasks.get", ["held"], Caller.local()))["started_at"]
        assert (found["reason"], found["message"]) == (
            "started",
            f"task 'held' is in progress: attempt 1 runs since {started}",
        )
        assert (await explained(engine, "root"))[
            "message"
        ] == "group 'root' is in progress: something under it has started, and not all of it has settled"


@pytest.mark.parametrize(
    ("options", "limit", "full"),
    [
        ({"max_concurrency": 1}, "max_concurrency", "as many tasks run as may at once (max_concurrency = 1)"),
        ({"limits": {"held": 1}}, "limits.held", "as many tasks of executor 'held' run as may at once (limits.held = 1)"),
    ],
)
async def test_a_task_that_is_ready_says_which_limit_holds_it(options, limit, full):
    async with at_gate(task("other", "held", priority=9), **options) as engine:
        found = await explained(engine, "other")
        assert (found["reason"], found["limit"]) == ("limit", limit)
        assert found["message"] == f"task 'other' is ready, and {full}; it starts when one of them has ended"


async def test_a_group_of_which_nothing_has_started_says_where_to_look():
    async with at_gate(group("g", parent_id="root"), task("a", "noop", "g", dependencies=["held"])) as engine:
        found = await explained(engine, "g")
        assert (found["reason"], found["waits_for"]) == ("group", [])
        message = "group 'g' has not begun: nothing under it has started; `apflow tasks explain a` tells why"
        assert found["message"] == message


async def test_what_is_ready_while_the_engine_is_about_to_stop_says_how_it_goes_on():
    async with at_gate(task("other", "held", priority=9), max_concurrency=1) as engine:
        engine.manager.hold()
        found = await explained(engine, "other")
        assert (found["reason"], found["limit"]) == ("draining", None)
        assert found["message"].endswith(
            "the engine is about to stop and starts nothing more; `apflow resume root` goes on with it afterwards"
        )


@pytest.mark.parametrize(
    ("waits", "kind", "said"),
    [
        (task("a", "ask"), "input", "waits for an answer to 'Ship it?'; `apflow tasks answer a` gives it"),
        (
            task("a", "ask", until=MAX_INSTANT),
            "input",
            f"waits for an answer to 'Ship it?', until {LAST}; `apflow tasks answer a` gives it",
        ),
        (task("a", "late"), "until", f"waits until {LAST}"),
    ],
)
async def test_a_task_that_waits_says_for_what(waits, kind, said):
    async with waiting(waits) as engine:
        found = await explained(engine, "a")
        assert (found["reason"], found["status"], found["wait"]["kind"]) == ("waiting", "waiting", kind)
        assert found["message"] == f"task 'a' {said}"


async def test_a_task_that_failed_and_is_tried_again_says_when():
    async with waiting(task("a", "flaky")) as engine:
        found = await explained(engine, "a")
        assert found["message"] == (
            f"task 'a' waits for its next attempt at {found['wait']['until']}; attempt 1 failed: ConnectionError: no route"
        )
        assert (found["wait"]["kind"], found["wait"]["policy"]) == ("retry", None)


async def test_a_task_that_a_policy_holds_back_says_which_and_until_when():
    async with waiting(task("a", "noop", policies={"limit": {}}), policies=[Policy("limit", hold)]) as engine:
        found = await explained(engine, "a")
        assert found["message"] == f"task 'a' is held back: policy 'limit' lets it go on at {LAST}"
        assert (found["wait"]["kind"], found["wait"]["policy"]) == ("until", "limit")


async def test_a_tree_that_no_process_runs_says_how_it_goes_on():
    storage = MemoryStorage()
    async with waiting(task("a", "ask"), task("b", "noop", dependencies=["a"]), **lent(storage)):
        pass
    async with engine_of(ask, noop, **lent(storage)) as engine:
        found = await explained(engine, "b")
    assert found["reason"] == "not_running"
    waits = "task 'b' waits for 'a' (waiting); `apflow tasks explain a` tells why"
    message = f"{waits}; no process runs its tree, and `apflow resume root` goes on with it"
    assert found["message"] == message
    assert [awaited["status"] for awaited in found["waits_for"]] == ["waiting"]


async def test_what_has_settled_says_how_and_what_runs_it_again(call):
    tasks = [
        {"id": "root"},
        {"id": "a", "parent_id": "root", "executor": "fail"},
        {"id": "b", "parent_id": "root", "executor": "echo", "dependencies": ["a"]},
        {"id": "c", "parent_id": "root", "executor": "echo"},
    ]
    await call("tasks.execute", {"tasks": tasks, "wait": 10})
    said = {key: (await call("tasks.explain", [key]))["message"] for key in ("a", "b", "c", "root")}
    assert said == {
        "a": "task 'a' has ended as failed: it was asked to; `apflow tasks execute a` runs it",
        "b": "task 'b' has ended as skipped: 'a', which it requires, did not complete; `apflow tasks execute b` runs it",
        "c": "task 'c' has completed",
        "root": "group 'root' has ended as failed; `apflow tasks execute root` runs it",
    }
    assert (await call("tasks.explain", ["b"]))["reason"] == "settled"


def explanation(reason, waits_for=(), *, key="a", tree=None, **fields):
    own = Task(n=0, id=key, key=key, name=key, tree_id=key, executor="noop", **fields)
    return Explanation(own, TaskTree(id=key, tasks={key: own}, **(tree or {})), reason, waits_for)


def test_many_dependencies_are_told_by_the_first_and_their_number():
    others = [Task(n=n, id=f"t{n}", key=f"t{n}", name="", tree_id="a", executor="noop") for n in range(1200)]
    dependencies = tuple(Dependency(other.id, other.key) for other in others)
    said = sentence(explanation("dependencies", tuple(others), dependencies=dependencies), Settings())
    assert said.endswith("'t4' (pending) and 1,195 more; `apflow tasks explain t0` tells why")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (explanation("turn"), "task 'a' is ready, and starts with the next commit"),
        (
            explanation("storage"),
            "task 'a' is ready, but nothing can be written to the storage for now; `apflow doctor` tells more",
        ),
        (explanation("dependencies"), "task 'a' is pending, though all that it depends on has settled"),
        (
            explanation("not_requested", tree={"status": TaskStatus.IN_PROGRESS, "requested_at": 1}),
            "task 'a' was not asked to run; once its tree has ended, `apflow tasks execute a` runs it",
        ),
        (
            explanation("settled", status=TaskStatus.CANCELLED, tree={"status": TaskStatus.CANCELLED, "archived_at": 1}),
            "task 'a' has ended as cancelled; its tree is archived, and `apflow tasks copy a` makes a copy that can run",
        ),
    ],
)
def test_what_can_be_done_is_said_as_the_tree_stands(found, said):
    assert sentence(found, Settings()) == said
