"""Secrets that tasks name: who gets their values, and that nobody else does."""

from __future__ import annotations

import base64
import logging
import pickle
from urllib.parse import quote

import pytest
from attrs import frozen
from samples import add, boom, echo, group, run, task

from apflow.logs import JsonLines
from apflow.testing import engine_of
from apflow_hookspecs import Caller, Policy, Retry, TaskContext, TaskFailed, Wait, executor, hookimpl
from apflow_hookspecs.errors import InvalidTask

CANARY = "canary/öf the+coal~mine=7"
TOKEN = {"$secret": "token"}


class Vault:
    """Knows secrets by name; an exception is raised instead."""

    def __init__(self, **values):
        self.values = values
        self.asked = []

    @hookimpl
    async def apflow_resolve_secret(self, name, task, context):
        self.asked.append((task.key, name, context.attempt))
        value = self.values.get(name)
        if isinstance(value, Exception):
            raise value
        return value


class Keeping:
    """An executor that keeps what it was called with."""

    def __init__(self):
        self.got = []

    @property
    def executor(self):
        @executor("keep")
        async def keep(context: TaskContext, **inputs):
            self.got.append((inputs, context.params))

        return keep


def vault(**values):
    return {"vault": Vault(**(values or {"token": CANARY}))}


async def test_an_executor_gets_the_values_and_everybody_else_the_names():
    seen = []
    keeping = Keeping()

    class Looking:
        @hookimpl
        def apflow_before_execute(self, inputs, context):
            seen.append((inputs, context.params))

    async def around(call_next, context, options):
        seen.append((context.inputs, context.params))
        return await call_next()

    inputs = {"plain": "x", "deep": [{"auth": TOKEN}, "y"], "again": TOKEN}
    tree = await run(
        [{"id": "root", "executor": "keep", "inputs": inputs, "params": {"key": TOKEN}, "policies": {"look": {}}}],
        keeping.executor,
        plugins=vault() | {"looking": Looking()},
        policies=[Policy("look", around)],
    )

    assert keeping.got == [({"plain": "x", "deep": [{"auth": CANARY}, "y"], "again": CANARY}, {"key": CANARY})]
    assert seen == [(inputs, {"key": TOKEN}), (inputs, {"key": CANARY})]
    assert (tree.root.inputs, tree.root.params) == (inputs, {"key": TOKEN})


async def test_params_are_structured_with_the_values():
    @frozen
    class Params:
        user: str
        password: str

    @executor("login", params=Params)
    async def login(context: TaskContext):
        return isinstance(context.params, Params) and context.params.password == CANARY

    params = {"user": "ada", "password": TOKEN}
    async with engine_of(login, plugins=vault()) as engine:
        with pytest.raises(InvalidTask, match=r"params\.user = 5"):
            await engine.creator.create_task_tree_from_array([task("root", "login", params={"user": 5, "password": TOKEN})])
        tree = await engine.creator.create_task_tree_from_array([task("root", "login", params=params)])
        done = await engine.manager.distribute_task_tree(tree)

    assert done.root.result is True


async def test_what_looks_like_a_secret_and_was_not_written_by_the_author_is_data():
    keeping = Keeping()
    plugins = vault()
    result = {"a": TOKEN, "deep": [TOKEN]}
    tree = await run(
        [
            group("root"),
            task("fetch", "echo", value={"$literal": result}),
            task("root2", "keep", dependencies=["fetch"], one={"$from": "fetch"}, two={"$from": "fetch", "path": "/a"}),
            task("root3", "keep", dependencies=["fetch"]),
        ],
        echo,
        keeping.executor,
        plugins=plugins,
    )

    assert tree.status == "completed"
    assert sorted(keeping.got, key=repr) == [({"fetch": result}, {}), ({"one": result, "two": TOKEN}, {})]
    assert plugins["vault"].asked == []


async def test_a_hook_cannot_bring_in_a_secret_that_the_author_did_not_name():
    keeping = Keeping()

    class Adding:
        @hookimpl
        def apflow_before_execute(self, inputs):
            return {"deep": {"$secret": "other"}, "added": TOKEN, "kept": inputs["kept"]}

    plugins = vault(token=CANARY, other="another value") | {"adding": Adding()}
    await run([task("root", "keep", deep=TOKEN, kept=TOKEN)], keeping.executor, plugins=plugins)

    assert keeping.got == [({"deep": {"$secret": "other"}, "added": TOKEN, "kept": CANARY}, {})]


@pytest.mark.parametrize(
    ("known", "code", "message"),
    [
        ({"other": CANARY}, "denied", "there is no secret 'token': no plugin knows it"),
        ({"token": "short"}, "denied", "the secret 'token' has fewer than 6 characters"),
        ({"token": OSError(f"{CANARY} cannot be read")}, "denied", "plugin 'vault' refused it: OSError for the secret 'token'"),
        ({"token": TaskFailed("not for echo", error="denied")}, "denied", "not for echo"),
        ({"token": 7}, "denied", "plugin 'vault' refused it: TypeError for the secret 'token'"),
    ],
)
async def test_a_secret_that_is_not_given_fails_the_task(known, code, message):
    tree = await run([task("root", "echo", value=TOKEN)], echo, plugins=vault(**known))

    assert tree.root.error["code"] == code
    assert tree.root.error["message"].startswith(message)
    assert CANARY not in repr(tree.root.error)


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"inputs": {"value": {"$secret": 5}}}, "inputs.value", '"$secret" must be a name'),
        ({"inputs": {"value": {"$secret": ""}}}, "inputs.value", '"$secret" must be a name'),
        ({"inputs": {"value": [{"$secret": {"$from": "x"}}]}}, "inputs.value.0", '"$secret" must be a name'),
        ({"inputs": {"value": {"$secret": "a", "default": 1}}}, "inputs.value", "and nothing else"),
        ({"params": {"deep": {"key": {"$secret": None}}}}, "params.deep.key", '"$secret" must be a name'),
        ({"params": {"$secret": "a"}}, "params", "inputs and params are given by name"),
    ],
)
async def test_a_secret_that_is_written_wrongly_is_refused_with_its_place(fields, field, rule):
    async with engine_of(echo, plugins=vault()) as engine:
        with pytest.raises(InvalidTask) as refused:
            await engine.creator.create_task_tree_from_array([{"id": "root", "executor": "echo", **fields}])

    assert any(problem.field == field and rule in problem.rule for problem in refused.value.problems)


async def test_a_secret_is_refused_where_no_plugin_knows_any():
    async with engine_of(echo) as engine:
        with pytest.raises(InvalidTask) as refused:
            await engine.creator.create_task_tree_from_array([task("root", "echo", value=TOKEN, params={"key": TOKEN})])

    rule = "secrets come with apflow-secrets, which is not installed"
    assert [(problem.field, problem.rule) for problem in refused.value.problems] == [
        ("inputs.value", rule),
        ("params.key", rule),
    ]


async def test_each_attempt_asks_once_for_each_secret_and_gets_what_it_is_now():
    plugins = vault(token="the first value", other=CANARY)  # noqa: S106 - a test of secrets
    got = []

    @executor("turn")
    async def turn(value, more, context: TaskContext):
        got.append((value, more))
        if context.attempt == 1:
            plugins["vault"].values["token"] = "the second value"  # noqa: S105 - likewise
            raise Retry(0)

    await run([task("root", "turn", value=TOKEN, more=[TOKEN, {"$secret": "other"}])], turn, plugins=plugins)

    assert got == [(value, [value, CANARY]) for value in ("the first value", "the second value")]
    asked = plugins["vault"].asked
    assert sorted(asked) == [("root", name, attempt) for name in ("other", "token") for attempt in (1, 2)]


async def test_policies_and_hooks_see_results_without_the_values():
    seen = []

    async def around(call_next, context, options):
        seen.append(await call_next())
        return seen[0]

    class After:
        @hookimpl
        def apflow_after_execute(self, result):
            seen.append(result)

    tree = await run(
        [task("root", "echo", value={"a": [TOKEN]}, policies={"look": {}})],
        echo,
        plugins=vault() | {"after": After()},
        policies=[Policy("look", around)],
    )

    assert seen == [{"a": ["***"]}, {"a": ["***"]}]
    assert tree.root.result == {"a": ["***"]}


async def test_a_value_is_hidden_in_what_tasks_tell_that_did_not_name_it():
    kept = []

    @executor("steal")
    async def steal(value=None):
        kept.append(value)

    @executor("tell")
    async def tell():
        return {"stolen": kept[0]}

    tree = await run(
        [group("root"), task("one", "steal", value=TOKEN), task("two", "tell", dependencies=["one"])],
        steal,
        tell,
        plugins=vault(),
    )

    assert tree.tasks["two"].result == {"stolen": "***"}


class Showing:
    def __init__(self, value):
        self.value = value

    def __str__(self):
        return f"showing {self.value}"


def connect(value, url):
    raise ConnectionError(f"{value!r} at {url}")


@executor("blab")
async def blab(value: str, way: str, context: TaskContext):
    """Tells its secret in every way that there is."""
    basic = base64.b64encode(f"ada:{value}".encode()).decode()
    url = f"https://ada:{quote(value, safe='')}@example.com/?token={quote(value)}"
    context.report(0.5, f"half of {value} {url}")
    context.log.error("it is %s", value, extra={"header": f"Basic {basic}", "found": {"it": value}})
    logging.getLogger("httpx").warning(
        "GET %s", url, extra={"deep": [{"x": basic}], "who": Showing(value), "raw": value.encode()}
    )
    logging.getLogger(f"named.{value}").warning("bytes %r", value.encode())
    told = {"plain": value, value: 1, "basic": basic, "url": url, "repr": repr(value), "deep": [{"x": f"a{value}b"}]}
    if way == "result":
        return told
    if way == "unfit":
        return {"x": {value: object()}}
    if way == "wait":
        return Wait.for_input(f"is it {value}?", {"type": "string", "description": basic})
    if way == "details":
        raise TaskFailed(f"not with {url}", error=f"code {value}", details=told)
    try:
        connect(value, url)
    except ConnectionError as error:
        context.log.exception("it failed")
        if way == "retry" and context.attempt == 1:
            raise Retry(0) from error
        raise RuntimeError(basic) from error


WAYS = ("result", "unfit", "details", "raise", "retry", "wait")


def traces(text):
    """The forms in which the canary stands in a text."""
    cores = [base64.b64encode(b"\0" * n + CANARY.encode()).decode()[4 : 4 + 20] for n in range(3)]
    forms = [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        *cores,
        *(core.replace("/", "_").replace("+", "-") for core in cores),
        CANARY.replace("~", "~0").replace("/", "~1"),
        repr(CANARY.encode())[2:-1],
        CANARY.encode().decode("latin-1"),
    ]
    return [form for form in forms if form in text]


def test_the_traces_are_found_where_nothing_is_redacted():
    for told in (CANARY, quote(CANARY), repr(CANARY.encode()), base64.b64encode(f"ada:{CANARY}".encode()).decode()):
        assert traces(told)


async def test_a_value_is_nowhere_in_what_is_stored_told_or_logged(tmp_path, caplog):
    import apflow_sqlite

    caplog.set_level(logging.DEBUG)
    events = []

    class Observer:
        @hookimpl
        def apflow_event(self, event):
            events.append(event)

    url = f"sqlite:///{tmp_path / 'flow.db'}"
    plugins = {"sqlite": apflow_sqlite, "observer": Observer()} | vault()
    tasks = [group("root"), *(task(way, "blab", value=TOKEN, way=way) for way in WAYS)]
    async with engine_of(blab, url=url, plugins=plugins) as engine:
        tree = await engine.creator.create_task_tree_from_array(tasks)
        await engine.manager.execute("root")
        ends = []
        async for event in engine.watch("root"):
            if event.type == "task_settled" or (event.type == "task_waiting" and event.data["wait"]["kind"] == "input"):
                ends.append(event)
            if len(ends) == len(WAYS):
                break
        views = [
            await engine.call(operation, {"task_id": tree.tasks[way].id}, Caller.local())
            for operation in ("tasks.get", "tasks.history", "tasks.tree", "tasks.events")
            for way in WAYS
        ]
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    assert {"flow.db", "flow.db-wal"} <= files.keys()
    assert {name: found for name, data in files.items() if (found := traces(data.decode("latin-1")))} == {}
    assert traces(repr(views)) == []
    assert traces(repr(events)) == []
    assert "***" in repr(views)
    assert "is it ***?" in repr(events)
    told = [logging.Formatter().format(record) + JsonLines().format(record) + repr(vars(record)) for record in caplog.records]
    assert "showing ***" in "".join(told)
    assert len(told) > 3 * len(WAYS)
    assert [found for each in told if (found := traces(each))] == []


async def test_a_traceback_in_the_log_keeps_all_but_the_value(caplog):
    caplog.set_level(logging.DEBUG)
    await run([task("root", "boom", message=TOKEN)], boom, plugins=vault())

    (told,) = [logging.Formatter().format(record) for record in caplog.records if "did not complete" in record.message]
    assert "ValueError: ***" in told
    assert "samples.py" in told


async def test_log_records_are_left_alone_before_a_value_was_given_and_after_the_engine_closed(caplog):
    before = logging.getLogRecordFactory()
    async with engine_of(add, echo, plugins=vault()) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "add", a=1)])
        await engine.manager.distribute_task_tree(tree)
        assert logging.getLogRecordFactory() is before

        tree = await engine.creator.create_task_tree_from_array([task("root", "echo", value=TOKEN)], fresh_ids=True)
        await engine.manager.distribute_task_tree(tree)
        assert logging.getLogRecordFactory() is not before
        logging.getLogger("other").warning("%s and %d", CANARY, 7)
    assert logging.getLogRecordFactory() is before
    logging.getLogger("other").warning(CANARY)

    assert caplog.messages[0] == "*** and 7"
    assert caplog.messages[-1] == CANARY


async def test_a_record_goes_through_a_queue_without_the_value(caplog):
    async with engine_of(echo, plugins=vault()) as engine:
        tree = await engine.creator.create_task_tree_from_array([task("root", "echo", value=TOKEN)])
        await engine.manager.distribute_task_tree(tree)
        logging.getLogger("other").warning("so far", extra={"header": CANARY})
        sent = pickle.dumps(caplog.records[-1])
    copied = pickle.loads(sent)  # noqa: S301 - our own
    assert (copied.getMessage(), copied.header, type(copied)) == ("so far", "***", logging.LogRecord)
