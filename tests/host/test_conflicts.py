import pytest

from apflow_hookspecs.errors import PluginConflict

POLICY = """
async def around(call_next, context, options):
    return await call_next()

@hookimpl
def apflow_policies():
    yield Policy("shared", around)
"""
STORAGE = """
@hookimpl
def apflow_storages():
    yield StorageScheme("shared", open)
"""
COMMAND = """
@hookimpl
def apflow_commands():
    yield Command("shared", "Shared.", "somewhere:command")
"""


def test_two_executors_of_one_id_are_refused_by_both_names(greeter, discover):
    greeter("one", version="1.0")
    greeter("two", version="2.0")
    with pytest.raises(PluginConflict) as refused:
        _ = discover().executors
    assert str(refused.value) == (
        "the executor 'greet' is provided by two plugins, one (apflow-one 1.0) and two (apflow-two 2.0); "
        "block one of them, as with APFLOW_BLOCK=two"
    )


def test_blocking_one_of_two_settles_the_conflict(greeter, discover):
    greeter("one")
    greeter("two")
    host = discover(block=["two"])
    assert host.provider("executor", "greet").name == "one"
    assert not host.conflicts


def test_a_conflict_is_shown_with_both_plugins(greeter, discover):
    greeter("one")
    greeter("two")
    greeter("three", id="other")
    host = discover()
    assert [str(conflict) for conflict in host.conflicts] == [plugin.reason for plugin in host.plugins if plugin.reason][:1]
    assert {plugin.name: str(plugin.state) for plugin in host.plugins} == {"one": "on", "three": "on", "two": "on"}
    assert [plugin.name for plugin in host.plugins if plugin.reason] == ["one", "two"]


@pytest.mark.parametrize(("kind", "code"), [("policies", POLICY), ("storages", STORAGE), ("commands", COMMAND)])
def test_every_kind_of_thing_is_provided_once(install, greeter, discover, kind, code):
    install("one", code)
    install("two", code)
    greeter()
    host = discover()
    with pytest.raises(PluginConflict, match=r"'shared' is provided by two plugins, one .* and two"):
        getattr(host, kind)
    assert list(host.executors) == ["greet"]


def test_what_a_plugin_provides_leads_back_to_it(greeter, install, discover):
    greeter()
    install("shelf", STORAGE)
    host = discover()
    assert host.provider("executor", "greet").name == "hello"
    assert host.provider("storage", "shared").distribution == "apflow-shelf"
    with pytest.raises(KeyError):
        host.provider("policy", "shared")
