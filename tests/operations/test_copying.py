import pytest

from apflow_hookspecs import Caller
from apflow_hookspecs.errors import InvalidParams, InvalidTree, NotFound, Overloaded, PermissionDenied, TooLarge

from .conftest import ADA, ADMIN, BOB, LOCAL

FLOW = [
    {"id": "root"},
    {"id": "first", "executor": "echo", "parent_id": "root", "inputs": {"value": "1"}},
    {"id": "second", "executor": "fail", "parent_id": "root", "dependencies": ["first"]},
    {"id": "third", "executor": "echo", "parent_id": "root", "dependencies": ["second"]},
]
MENDED = {"overrides": {"second": {"executor": "echo"}}}


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


@pytest.fixture
async def ended(call):
    """A tree of ada's that failed at its second task."""
    tree = await call("tasks.execute", {"tasks": FLOW, "wait": 60}, ADA)
    assert tree["status"] == "failed"
    return tree


async def test_the_answer_tells_what_became_of_every_task(call, ended):
    copied = await call("tasks.copy", {"task_id": "second"}, ADA)
    assert (copied["run_again"], copied["carried_over"], copied["left_out"]) == (["second"], ["first"], ["third"])
    tree = copied["tree"]
    assert (tree["id"], tree["status"], tree["run"]) == (copied["ids"]["root"], "pending", 0)
    assert [(task["key"], task["status"], task["original_task_id"]) for task in tree["tasks"]] == [
        ("root", "pending", "root"),
        ("first", "completed", "first"),
        ("second", "pending", "second"),
    ]
    assert copied["ids"] == {task["original_task_id"]: task["id"] for task in tree["tasks"]}
    assert tree["tasks"][1]["result"] == {"value": "1"}
    assert tree["tasks"][1]["completed_at"] == ended["tasks"][1]["completed_at"]


async def test_a_copy_can_be_executed_at_once(call, ended):
    copied = await call("tasks.copy", {"task_id": "second", "dependents": "all", "execute": True, **MENDED}, ADA)
    assert copied["tree"]["run"] == 1
    done = await call.engine.manager.wait(copied["tree"]["id"], 60)
    assert {task.key: task.status.value for task in done if task.executor} == dict.fromkeys(
        ["first", "second", "third"], "completed"
    )


async def test_a_copy_that_is_not_saved_is_answered_as_an_array(call, ended):
    copied = await call("tasks.copy", {"task_id": "second", "save": False, **MENDED}, ADA)
    assert "tree" not in copied
    assert copied["ids"] == {}
    assert [task["key"] for task in copied["tasks"]] == ["root", "first", "second"]
    again = await call("tasks.create", {"tasks": copied["tasks"]}, ADA)
    assert [task["executor"] for task in again["tasks"]] == [None, "echo", "echo"]
    assert {task["status"] for task in again["tasks"]} == {"pending"}


async def test_a_dry_run_only_tells(call, ended):
    before = await call("tasks.count")
    copied = await call("tasks.copy", {"task_id": "second", "dry_run": True, "execute": True}, ADA)
    assert copied == {"tree": None, "ids": {}, "run_again": ["second"], "carried_over": ["first"], "left_out": ["third"]}
    assert await call("tasks.count") == before


def custom(*task_ids, **options):
    return {"task_id": "root", "copy_mode": "custom", "task_ids": list(task_ids), **options}


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"task_id": "root"}, "first second third |  | "),
        ({"task_id": "first", "children": True}, "first second third |  | "),
        ({"task_id": "first", "dependents": "none"}, "first |  | second third"),
        ({"task_id": "first", "copy_mode": "full"}, "first second third |  | "),
        ({"task_id": "third"}, "second third | first | "),
        (custom("third"), "second third | first | "),
        (custom("second", include_dependents=True), "second third | first | "),
        (custom("second", allow_partial=True), "second | first | third"),
    ],
)
async def test_every_option_reaches_the_copy(call, ended, options, outcome):
    copied = await call("tasks.copy", {**options, "dry_run": True})
    assert " | ".join(" ".join(copied[name]) for name in ("run_again", "carried_over", "left_out")) == outcome


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"task_id": "nowhere"}, NotFound, "there is no task 'nowhere'"),
        ({"task_id": "first", "copy_mode": "deep"}, InvalidParams, "copy_mode = 'deep': must be one of"),
        ({"task_id": "first", "dependents": "some"}, InvalidParams, "dependents = 'some': must be one of"),
        ({"task_id": "first", "task_ids": ["first"]}, InvalidParams, "task_ids = .* belongs to copy_mode = 'custom'"),
        ({"task_id": "first", "copy_mode": "custom"}, InvalidParams, "needs the ids of the tasks that are to run again"),
        (custom("x"), NotFound, "no task 'x' in tree 'root'"),
        (custom("second"), InvalidTree, "third → second; include_dependents"),
        (
            {"task_id": "first", "overrides": {"nobody": {}}},
            InvalidParams,
            "overrides = 'nobody': no task of the tree has this",
        ),
        ({"task_id": "first", "overrides": {"first": {"id": "x"}}}, InvalidParams, "overrides.id = 'x': cannot be overridden"),
        ({"task_id": "first", "save": False, "execute": True}, InvalidParams, "execute = True: a copy that is not stored"),
        ({"task_id": "first", "nonsense": 1}, InvalidParams, "nonsense = 1: unknown parameter"),
    ],
)
async def test_what_cannot_be_copied_is_refused_and_nothing_is_stored(call, ended, params, error, message):
    with pytest.raises(error, match=message):
        await call("tasks.copy", params)
    assert (await call("tasks.count"))["total"] == 4


async def test_another_users_tree_looks_exactly_like_none(call, ended):
    with pytest.raises(NotFound, match="there is no task 'first'"):
        await call("tasks.copy", {"task_id": "first"}, BOB)
    with pytest.raises(PermissionDenied, match="a caller without a user needs the scope 'admin'"):
        await call("tasks.copy", {"task_id": "first"}, Caller(scopes=frozenset({"submit"})))
    with pytest.raises(PermissionDenied, match=r"tasks\.copy needs the scope 'submit'"):
        await call("tasks.copy", {"task_id": "first"}, Caller("ada", frozenset({"read"})))


@pytest.mark.parametrize("caller", [ADA, ADMIN, LOCAL], ids=["owner", "administrator", "local"])
async def test_a_copy_belongs_to_the_owner_of_its_source(call, ended, caller):
    copied = await call("tasks.copy", {"task_id": "first"}, caller)
    assert {task["user_id"] for task in copied["tree"]["tasks"]} == {"ada"}
    stored = await call.engine.tree(copied["tree"]["id"])
    assert (stored.user_id, stored.origin) == ("ada", "remote")


@pytest.mark.parametrize("settings", [{"max_tasks_per_tree": 2}], indirect=True)
async def test_the_size_of_a_copy_is_limited_for_remote_callers_only(call):
    await call("tasks.execute", {"tasks": FLOW, "wait": 60})
    with pytest.raises(TooLarge, match=r"4 tasks, and a remote caller's tree may have at most 2 \(max_tasks_per_tree\)"):
        await call("tasks.copy", {"task_id": "first"}, ADMIN)
    assert len((await call("tasks.copy", {"task_id": "first", "dependents": "none"}, ADMIN))["tree"]["tasks"]) == 2
    assert len((await call("tasks.copy", {"task_id": "first"}, LOCAL))["tree"]["tasks"]) == 4


@pytest.mark.parametrize("settings", [{"max_open_tasks": 4}], indirect=True)
async def test_open_tasks_are_limited_for_remote_callers_and_what_is_carried_over_is_not_open(call, ended):
    for _ in range(2):
        await call("tasks.copy", {"task_id": "second"}, ADA)
    with pytest.raises(Overloaded, match=r"4 tasks are open, and with 2 more there would be over 4 \(max_open_tasks\)"):
        await call("tasks.copy", {"task_id": "second"}, ADA)
    assert await call("tasks.copy", {"task_id": "second", "dry_run": True}, ADA)
    assert (await call("tasks.copy", {"task_id": "second"}, LOCAL))["tree"]
