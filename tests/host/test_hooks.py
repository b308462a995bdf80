import asyncio
import logging
from types import SimpleNamespace

import pytest

from apflow.host import FAILURES_IN_A_ROW, Host
from apflow_hookspecs import Event, Problem, Task, TaskContext, TaskFailed, TaskTree, hookimpl
from apflow_hookspecs.errors import ApflowError, PermissionDenied

TASK = Task(n=0, id="t", key="greet", name="greet", tree_id="t", executor="greet")
TREE = TaskTree(id="t", tasks={"greet": TASK})
CONTEXT = TaskContext(task=TASK)
EVENT = Event(seq=1, tree_id="t", run=1, task_id=None, type="tree_created", status="pending", at=0)
SOON = 0.01


def implementing(hook, function, **options):
    """A plugin of one hook; functions of modules and attributes of objects are the same to the host."""
    return SimpleNamespace(**{hook: hookimpl(function, **options)})


def host_of(hook, timeout=5.0, **functions):
    return Host({name: implementing(hook, function) for name, function in functions.items()}, hook_timeout=timeout)


async def never():
    await asyncio.Event().wait()


# Order


async def test_implementations_are_called_in_the_order_of_names_with_first_and_last_around_them():
    called = []

    def recording(name):
        return lambda: called.append(name)

    options = {
        "a": {"trylast": True},
        "c": {},
        "b": {},
        "z": {"tryfirst": True},
        "y": {"tryfirst": True},
        "d": {"trylast": True},
    }
    host = Host({name: implementing("apflow_event", recording(name), **given) for name, given in options.items()})
    await host.event(EVENT)
    assert called == ["y", "z", "b", "c", "a", "d"]


async def test_each_implementation_gets_the_arguments_that_it_names_in_any_order():
    given = []
    host = host_of(
        "apflow_validate_task",
        all=lambda task, executor, tree: given.append((task, executor, tree)),
        few=lambda tree, task: given.append((tree, task)),
        none=lambda: given.append(()),
        one=lambda executor: given.append([executor]),
    )
    assert await host.validate_task(TASK, None, TREE) == []
    assert given == [(TASK, None, TREE), (TREE, TASK), (), [None]]


async def test_one_implementation_ends_before_the_next_begins():
    steps = []

    async def slow(inputs):
        steps.append("slow begins")
        await asyncio.sleep(0)
        steps.append("slow ends")

    await host_of("apflow_before_execute", a=slow, b=lambda: steps.append("next")).before_execute(TASK, {}, CONTEXT)
    assert steps == ["slow begins", "slow ends", "next"]


def test_a_host_without_hooks_says_so():
    host = Host()
    assert not host.gates_execution
    assert not host.changes_results
    assert not host.observes


def test_a_host_with_hooks_says_so():
    assert host_of("apflow_before_execute", a=lambda inputs: inputs).gates_execution
    assert host_of("apflow_after_execute", a=lambda result: result).changes_results
    assert host_of("apflow_event", a=lambda: None).observes


# Validators


async def test_the_problems_of_all_validators_are_told_together_and_name_the_task():
    def generator(task):
        yield Problem("too dull", field="name", value=task.name)
        yield Problem("too short", task="another")

    async def later(task):
        return [Problem("too late")]

    problems = await host_of("apflow_validate_task", a=generator, b=later, c=lambda: None).validate_task(TASK, None, TREE)
    assert [(problem.task, problem.rule) for problem in problems] == [
        ("greet", "too dull"),
        ("another", "too short"),
        ("greet", "too late"),
    ]


async def test_a_field_of_a_task_is_told_of_by_the_first_plugin_that_has_something_against_it():
    def first(task):
        yield Problem("too dull", field="name")
        yield Problem("and too short", field="name")

    def second(task):
        yield Problem("dull", task=task.key, field="name")
        yield Problem("of another", task="another", field="name")
        yield Problem("wrong", field="inputs")

    problems = await host_of("apflow_validate_task", a=first, b=second).validate_task(TASK, None, TREE)
    assert [problem.rule for problem in problems] == ["too dull", "and too short", "of another", "wrong"]


async def test_the_tree_is_validated_as_a_whole():
    host = host_of("apflow_validate_tree", a=lambda tree: [Problem(f"of {len(tree)}")])
    assert [str(problem) for problem in await host.validate_tree(TREE)] == ["of 1"]


def raising():
    raise ValueError("no idea")


def raising_late(task):
    yield Problem("first")
    raise ValueError("no idea")


async def raising_async(task):
    raise ValueError("no idea")


@pytest.mark.parametrize(
    ("validator", "reason"),
    [
        (raising, "ValueError: no idea"),
        (raising_late, "ValueError: no idea"),
        (raising_async, "ValueError: no idea"),
        (lambda: "wrong", "TypeError: returned 'wrong' instead of an iterable of Problem, or None"),
        (lambda: 3, "TypeError: returned 3 instead of an iterable of Problem, or None"),
        (lambda: Problem("no"), "TypeError: returned one Problem instead of an iterable of Problem, or None"),
        (lambda: [Problem("no"), "wrong"], "TypeError: returned 'wrong' among what is each to be a Problem"),
        (lambda: [Problem("no", severity="fatal")], "ValueError: severity = 'fatal': must be one of 'error', 'warning'"),
        (never, "TimeoutError: no answer within 0.01 s"),
    ],
    ids=[
        "raises",
        "raises late",
        "raises async",
        "answers a text",
        "answers a number",
        "answers one problem",
        "answers a text among problems",
        "answers a problem of no known severity",
        "never answers",
    ],
)
async def test_a_validator_that_fails_refuses_and_is_named(validator, reason):
    problems = await host_of("apflow_validate_task", timeout=SOON, strange=validator).validate_task(TASK, None, TREE)
    assert [(str(problem), problem.code) for problem in problems] == [
        (f"task 'greet': plugin 'strange' could not check it: {reason}", PermissionDenied.code)
    ]


# Around an attempt


async def test_inputs_pass_from_one_plugin_to_the_next():
    async def added(inputs, task):
        return {**inputs, "key": task.key}

    host = host_of("apflow_before_execute", a=lambda inputs: {**inputs, "n": 1}, b=lambda: None, c=added)
    given = {"x": 0}
    assert await host.before_execute(TASK, given, CONTEXT) == {"x": 0, "n": 1, "key": "greet"}
    assert given == {"x": 0}


async def test_inputs_that_nobody_changes_stay_the_same_object():
    given = {"x": 0}
    assert await host_of("apflow_before_execute", a=lambda: None).before_execute(TASK, given, CONTEXT) is given


def leaving():
    raise SystemExit(3)


async def cancelled_inside(inputs):
    work = asyncio.ensure_future(asyncio.Event().wait())
    work.cancel()
    await work


def refusing(inputs):
    raise PermissionDenied("not on Sundays")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (raising, "ValueError: no idea"),
        (leaving, "SystemExit: 3"),
        (refusing, "not on Sundays"),
        (never, "TimeoutError: no answer within 0.01 s"),
        (cancelled_inside, "RuntimeError: it was cancelled from inside"),
        (lambda inputs: [inputs], "TypeError: returned list instead of a dict or None"),
    ],
    ids=["raises", "leaves", "refuses", "never answers", "is cancelled inside", "answers a list"],
)
async def test_a_gate_that_fails_denies_and_is_named(gate, message):
    host = host_of("apflow_before_execute", timeout=SOON, gate=gate)
    with pytest.raises(TaskFailed) as denied:
        await host.before_execute(TASK, {}, CONTEXT)
    assert denied.value.error == "denied"
    assert denied.value.message == f"plugin 'gate' refused it: {message}"
    assert denied.value.details == {"plugin": "gate"}


async def test_a_gate_is_never_switched_off():
    host = host_of("apflow_before_execute", gate=raising)
    for _ in range(FAILURES_IN_A_ROW + 1):
        with pytest.raises(TaskFailed):
            await host.before_execute(TASK, {}, CONTEXT)


async def test_a_cancelled_attempt_is_cancelled_in_its_gate_too():
    waiting = asyncio.Event()

    async def gate(inputs):
        waiting.set()
        await asyncio.Event().wait()

    attempt = asyncio.create_task(host_of("apflow_before_execute", gate=gate).before_execute(TASK, {}, CONTEXT))
    await waiting.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_the_first_plugin_that_knows_a_secret_gives_it():
    async def vault(name):
        return f"value of {name}"

    host = host_of("apflow_resolve_secret", a=lambda: None, b=vault, c=raising)
    assert await host.resolve_secret("db", TASK, CONTEXT) == "value of db"


async def test_a_secret_that_nobody_knows_is_none():
    assert await host_of("apflow_resolve_secret", a=lambda: None).resolve_secret("db", TASK, CONTEXT) is None


@pytest.mark.parametrize("canary", [ValueError("canary"), PermissionDenied("canary")], ids=["any error", "one of ours"])
async def test_a_failure_to_give_a_secret_denies_without_telling_what_may_be_secret(canary):
    def vault(name):
        raise canary

    with pytest.raises(TaskFailed) as denied:
        await host_of("apflow_resolve_secret", vault=vault).resolve_secret("db", TASK, CONTEXT)
    assert denied.value.error == "denied"
    assert str(denied.value) == f"plugin 'vault' refused it: {type(canary).__name__} for the secret 'db'"
    assert denied.value.__cause__ is None
    assert denied.value.__suppress_context__


async def test_a_secret_that_is_no_text_denies():
    with pytest.raises(TaskFailed, match="TypeError for the secret 'db'"):
        await host_of("apflow_resolve_secret", vault=lambda: 7).resolve_secret("db", TASK, CONTEXT)


async def test_a_result_passes_from_one_plugin_to_the_next():
    async def twice(result):
        return result * 2

    host = host_of("apflow_after_execute", a=lambda result: result + 1, b=lambda: None, c=twice)
    assert await host.after_execute(TASK, 1) == 4


@pytest.mark.parametrize(
    ("hook", "error", "message"),
    [
        (raising, "failed", "plugin 'judge' failed in apflow_after_execute: ValueError: no idea"),
        (never, "failed", "plugin 'judge' failed in apflow_after_execute: TimeoutError: no answer within 0.01 s"),
    ],
    ids=["raises", "never answers"],
)
async def test_a_result_hook_that_fails_fails_the_task(hook, error, message):
    with pytest.raises(TaskFailed) as failed:
        await host_of("apflow_after_execute", timeout=SOON, judge=hook).after_execute(TASK, 1)
    assert (failed.value.error, failed.value.message) == (error, message)


async def test_a_result_hook_may_fail_the_task_with_a_code_of_its_choice():
    def judge():
        raise TaskFailed("too thin", error="bad_result")

    with pytest.raises(TaskFailed) as failed:
        await host_of("apflow_after_execute", judge=judge).after_execute(TASK, 1)
    assert (failed.value.error, failed.value.message) == ("bad_result", "too thin")


# Events


async def test_an_observer_that_fails_disturbs_nobody_and_is_counted(caplog):
    seen = []
    host = host_of("apflow_event", clumsy=raising, keen=lambda event: seen.append(event.seq))
    await host.event(EVENT)
    await host.event(EVENT)
    assert seen == [1, 1]
    clumsy, keen = host.plugins
    assert (clumsy.failures, clumsy.state, clumsy.reason) == (2, "on", None)
    assert keen.failures == 0
    assert [record.plugin for record in caplog.records] == ["clumsy", "clumsy"]


async def test_an_observer_that_never_answers_is_a_failure():
    async def stuck(event):
        await asyncio.Event().wait()

    host = host_of("apflow_event", timeout=SOON, stuck=stuck)
    await host.event(EVENT)
    (plugin,) = host.plugins
    assert plugin.failures == 1


async def test_an_observer_is_switched_off_after_ten_failures_in_a_row_and_shown():
    calls = []

    def clumsy(event):
        calls.append(event)
        raise ValueError("no idea")

    host = host_of("apflow_event", clumsy=clumsy)
    for _ in range(FAILURES_IN_A_ROW + 3):
        await host.event(EVENT)
    assert len(calls) == FAILURES_IN_A_ROW == 10
    assert not host.observes
    (plugin,) = host.plugins
    assert (plugin.state, plugin.failures) == ("on", 10)
    assert plugin.reason == "apflow_event is switched off after 10 failures in a row: ValueError: no idea"


async def test_one_success_begins_the_row_anew():
    host = host_of("apflow_event", moody=lambda event: raising() if event.seq % FAILURES_IN_A_ROW else None)
    for number in range(1, 4 * FAILURES_IN_A_ROW):
        await host.event(Event(number, "t", 1, None, "tree_created", "pending", 0))
    assert host.observes
    (plugin,) = host.plugins
    assert plugin.failures == 36


# Start and end


def lifecycle(name, steps, fails=()):
    def start(engine):
        steps.append(f"{name} starts")
        if "start" in fails:
            raise ValueError("no port")

    async def end(engine):
        steps.append(f"{name} ends")
        if "end" in fails:
            raise ValueError("no end")

    return SimpleNamespace(apflow_startup=hookimpl(start), apflow_shutdown=hookimpl(end))


async def test_plugins_start_and_end_in_order():
    steps = []
    host = Host({name: lifecycle(name, steps) for name in "ab"})
    await host.startup(object())
    await host.shutdown(object())
    assert steps == ["a starts", "b starts", "a ends", "b ends"]


async def test_a_plugin_that_cannot_start_ends_those_that_have_begun():
    steps = []
    host = Host({"a": lifecycle("a", steps), "b": lifecycle("b", steps, ["start"]), "c": lifecycle("c", steps)})
    with pytest.raises(ApflowError, match="plugin 'b' cannot start: ValueError: no port"):
        await host.startup(object())
    assert steps == ["a starts", "b starts", "a ends"]


async def test_a_plugin_that_cannot_end_keeps_none_from_ending(caplog):
    steps = []
    host = Host({"a": lifecycle("a", steps, ["end"]), "b": lifecycle("b", steps)})
    await host.shutdown(object())
    assert steps == ["a ends", "b ends"]
    (record,) = caplog.records
    assert (record.plugin, record.hook, record.levelname) == ("a", "apflow_shutdown", "ERROR")
    assert record.getMessage() == "plugin 'a' failed in apflow_shutdown"
    assert str(record.exc_info[1]) == "no end"


async def test_a_plugin_that_does_not_end_is_left_behind_when_its_time_is_up(caplog):
    steps = []
    host = Host({"a": implementing("apflow_shutdown", never), "b": lifecycle("b", steps)}, hook_timeout=SOON)
    await host.shutdown(object(), within=SOON)
    assert steps == ["b ends"]
    (record,) = caplog.records
    assert (record.plugin, str(record.exc_info[1])) == ("a", "no answer within 0.01 s")


async def test_a_plugin_has_the_time_of_a_hook_to_end_where_nothing_else_has_any():
    steps = []

    async def end(engine):
        await asyncio.sleep(0)
        steps.append("a ends")

    await host_of("apflow_shutdown", a=end).shutdown(object(), within=0)
    assert steps == ["a ends"]


async def test_a_plugin_that_takes_long_to_start_is_named_and_waited_for():
    warned, records = asyncio.Event(), []

    async def start():
        await warned.wait()

    def listen(record):
        records.append(record)
        warned.set()
        return True

    logger = logging.getLogger("apflow.hooks")
    logger.addFilter(listen)
    try:
        await host_of("apflow_startup", timeout=SOON, lazy=start).startup(object())
    finally:
        logger.removeFilter(listen)
    (record,) = records
    assert (record.plugin, record.hook, record.levelname) == ("lazy", "apflow_startup", "WARNING")
    assert record.getMessage() == "plugin 'lazy' is still in apflow_startup after 0.01 s"
