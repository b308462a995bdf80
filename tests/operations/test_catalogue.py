import pytest
from attrs import frozen

from apflow.operations import CATALOGUE, OPERATIONS, Catalogue
from apflow_hookspecs import SCOPES, ApflowError, Caller, operation
from apflow_hookspecs.errors import (
    ConfigError,
    InvalidParams,
    NotFound,
    PermissionDenied,
    StorageUnavailable,
    Unexpected,
    UnknownOperation,
)


@frozen
class Words:
    """Some words."""

    first: str
    second: str = "world"


@operation("words.join", scope="submit", params=Words, result=str)
async def join(engine, caller, params):
    """Join two words.

    With a space.
    """
    return f"{params.first} {params.second} of {caller.user_id} on {engine}"


WORDS = Catalogue((join,))
ADA = Caller("ada", frozenset({"submit"}))


async def test_an_operation_is_called_by_name_with_named_or_positional_parameters():
    assert await WORDS.call("E", "words.join", {"first": "hello"}, ADA) == "hello world of ada on E"
    assert await WORDS.call("E", "words.join", ["good", "day"], ADA) == "good day of ada on E"


async def test_an_unknown_operation_has_an_error_of_its_own_that_names_the_nearest():
    with pytest.raises(UnknownOperation, match=r"there is no operation 'words\.joim'; did you mean 'words\.join'\?") as refused:
        await WORDS.call("E", "words.joim", {}, ADA)
    assert refused.value.code == -32601


async def test_the_scope_is_checked_before_the_parameters():
    with pytest.raises(PermissionDenied, match=r"words\.join needs the scope 'submit', and the caller has 'cancel', 'read'"):
        await WORDS.call("E", "words.join", {"nonsense": 1}, Caller("ada", frozenset({"read", "cancel"})))
    with pytest.raises(PermissionDenied, match="the caller has none"):
        await WORDS.call("E", "words.join", {}, Caller())


async def test_admin_includes_all_scopes():
    assert await WORDS.call("E", "words.join", ["hello"], Caller(scopes=frozenset({"admin"})))


async def test_parameters_that_do_not_fit_are_refused():
    with pytest.raises(InvalidParams, match="first = 1: must be text"):
        await WORDS.call("E", "words.join", {"first": 1}, ADA)


def failing(error):
    async def fail(engine, caller, params):
        """Fail."""
        raise error

    return Catalogue((operation("words.fail", scope="read", params=Words, result=str)(fail),))


INSIDE = "/srv/flow.db: near SELECT: syntax error"


@pytest.mark.parametrize("caller", [Caller.local(), Caller("ada", SCOPES)], ids=["local", "remote"])
@pytest.mark.parametrize("error", [ZeroDivisionError(INSIDE), OSError(2, INSIDE), RecursionError(INSIDE)], ids=repr)
async def test_a_fault_is_told_as_an_incident_that_the_log_explains(error, caller, caplog):
    with pytest.raises(Unexpected) as told:
        await failing(error).call("E", "words.fail", ["hello"], caller)
    assert told.value.message.endswith(f"the log tells why, under incident {told.value.incident}")
    assert "/" not in told.value.message
    assert told.value.__cause__ is None
    (record,) = caplog.records
    assert (record.operation, record.incident, record.exc_info[1]) == ("words.fail", told.value.incident, error)


@pytest.mark.parametrize("error", [StorageUnavailable(INSIDE), ConfigError(INSIDE), ApflowError(INSIDE)], ids=repr)
async def test_what_tells_of_the_inside_is_told_to_users_of_this_machine_only(error, caplog):
    with pytest.raises(type(error), match="SELECT"):
        await failing(error).call("E", "words.fail", ["hello"], Caller.local())
    assert not caplog.records
    with pytest.raises(ApflowError) as told:
        await failing(error).call("E", "words.fail", ["hello"], Caller("ada", SCOPES))
    assert told.value.code == error.code
    assert "SELECT" not in told.value.message
    (record,) = caplog.records
    assert record.incident in told.value.message


async def test_a_refusal_reaches_everybody_as_it_is(caplog):
    with pytest.raises(NotFound, match="no task 'x'"):
        await failing(NotFound("there is no task 'x'")).call("E", "words.fail", ["hello"], Caller("ada", SCOPES))
    assert not caplog.records


def test_the_summary_is_the_first_line_of_the_docstring():
    assert join.summary == "Join two words."


def test_the_catalogue_is_a_mapping_in_the_order_of_declaration():
    assert dict(WORDS) == {"words.join": join}
    assert len(WORDS) == 1


def test_the_operations_of_this_release_are_all_there():
    assert sorted(CATALOGUE) == [
        "system.backup", "system.executors", "system.health", "system.plugins", "system.stats",
        "tasks.answer", "tasks.archive", "tasks.cancel", "tasks.children", "tasks.copy", "tasks.count", "tasks.create",
        "tasks.delete", "tasks.events", "tasks.execute", "tasks.explain", "tasks.get", "tasks.history", "tasks.list",
        "tasks.purge", "tasks.resume", "tasks.running.count", "tasks.running.list", "tasks.running.status", "tasks.tree",
        "tasks.update", "tasks.validate",
    ]  # fmt: skip


def test_no_two_operations_have_one_name():
    assert len(CATALOGUE) == len(OPERATIONS)


@pytest.mark.parametrize("declared", OPERATIONS, ids=lambda declared: declared.name)
def test_every_operation_says_what_it_takes_gives_and_refuses(declared):
    told = CATALOGUE.describe(declared.name)
    schema = told["params"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert all(described(part) for part in schema["properties"].values()), schema
    assert told["result"]
    assert {error["code"] for error in told["errors"]} >= {error.code for error in declared.errors}
    assert declared.summary.endswith(".")
    assert declared.scope in SCOPES
    assert all(issubclass(error, ApflowError) for error in declared.errors)


def described(part):
    return "description" in part or any("description" in choice for choice in part.get("anyOf", ()))
