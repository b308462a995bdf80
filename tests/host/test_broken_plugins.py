import pytest

from apflow.host import Host
from apflow_hookspecs import hookimpl
from apflow_hookspecs.errors import ConfigError

BROKEN = {
    "an import that fails": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "an import that leaves": ("raise SystemExit('bye')", "SystemExit: bye"),
    "no hook": ("x = 1", "it implements no hook; each is a function marked with @hookimpl"),
    "a missing mark": (
        """
        def apflow_executors():
            yield executor("x")(print)
        """,
        "apflow_executors is not marked with @hookimpl",
    ),
    "a misspelt hook": (
        """
        @hookimpl
        def apflow_excutors():
            return []
        """,
        "there is no hook apflow_excutors; did you mean apflow_executors?",
    ),
    "a hook of a plugin that is not there": (
        """
        @hookimpl
        def zebra_stripes():
            return []
        """,
        "there is no hook zebra_stripes, and no plugin that is on adds it; @hookimpl(optionalhook=True) allows that",
    ),
    "an unknown argument": (
        """
        @hookimpl
        def apflow_event(evnt):
            pass
        """,
        "apflow_event has no argument 'evnt', only event",
    ),
    "an argument that would never be given": (
        """
        @hookimpl
        def apflow_event(event=None):
            pass
        """,
        "apflow_event: the argument 'event' may have no default and not be keyword-only",
    ),
    "any arguments": (
        """
        @hookimpl
        def apflow_event(**arguments):
            pass
        """,
        "apflow_event may not take **arguments; it names the arguments that it wants of event",
    ),
    "a wrapper": (
        """
        @hookimpl(wrapper=True)
        def apflow_before_execute(inputs):
            return (yield)
        """,
        "apflow_before_execute may not be a wrapper: it would not wrap what is awaited; what wraps an executor is a Policy",
    ),
    "an old wrapper": (
        """
        @hookimpl(hookwrapper=True)
        def apflow_event():
            yield
        """,
        "apflow_event may not be a wrapper: it would not wrap what is awaited; what wraps an executor is a Policy",
    ),
    "an async generator": (
        """
        @hookimpl
        async def apflow_validate_task(task):
            yield Problem("no")
        """,
        "apflow_validate_task may not be an async generator: return a list; what wraps an executor is a Policy",
    ),
    "an async function where plain ones are called": (
        """
        @hookimpl
        async def apflow_executors():
            return []
        """,
        "apflow_executors may not be async: it is called once, at start",
    ),
    "executors that raise": (
        """
        @hookimpl
        def apflow_executors():
            yield executor("fine")(lambda: None)
            raise RuntimeError("no more")
        """,
        "RuntimeError: no more",
    ),
    "policies that raise": (
        """
        @hookimpl
        def apflow_policies():
            return [1 / 0]
        """,
        "ZeroDivisionError: division by zero",
    ),
    "executors that are no list": (
        """
        @hookimpl
        def apflow_executors():
            return 3
        """,
        "apflow_executors returned 3 instead of yielding each executor",
    ),
    "an executor without an id": (
        """
        class Nameless:
            id = None
            def __repr__(self):
                return "<nameless>"
            async def execute(self, inputs):
                return 1

        @hookimpl
        def apflow_executors():
            yield Nameless()
        """,
        "apflow_executors yields <nameless>, whose id is None instead of a text",
    ),
    "an executor that cannot execute": (
        """
        class Idle:
            id = "idle"

        @hookimpl
        def apflow_executors():
            yield Idle()
        """,
        "the executor 'idle' has no method execute",
    ),
    "a class in place of an executor": (
        """
        class Worker:
            id = "worker"
            async def execute(self, inputs):
                return 1

        @hookimpl
        def apflow_executors():
            yield Worker
        """,
        "apflow_executors yields the class Worker instead of an instance",
    ),
    "an executor that yields": (
        """
        @executor("drip")
        async def drip():
            yield 1

        @hookimpl
        def apflow_executors():
            yield drip
        """,
        "the executor 'drip' is an async generator; it has to return its result",
    ),
    "an annotation that means nothing": (
        """
        @executor("odd")
        async def odd(x: "Nowhere"):
            return x

        @hookimpl
        def apflow_executors():
            yield odd
        """,
        "executor 'odd', parameter 'x': its annotation cannot be evaluated at run time: NameError: name 'Nowhere'",
    ),
    "a result that means nothing": (
        """
        @executor("odd")
        async def odd(x: int, y: "list[int]") -> "int |":
            return x

        @hookimpl
        def apflow_executors():
            yield odd
        """,
        "executor 'odd', parameter 'return': its annotation cannot be evaluated at run time: SyntaxError: ",
    ),
    "a parameter without a name": (
        """
        @executor("odd")
        async def odd(x, /):
            return x

        @hookimpl
        def apflow_executors():
            yield odd
        """,
        "executor 'odd', parameter 'x': is positional-only, and inputs are given by name",
    ),
    "an executor without a signature": (
        """
        @hookimpl
        def apflow_executors():
            yield executor("odd")(min)
        """,
        "executor 'odd': its signature cannot be read: ValueError: no signature found for builtin",
    ),
    "an executor that a crash does something unknown to": (
        """
        @executor("odd", on_crash="explode")
        async def odd():
            return None

        @hookimpl
        def apflow_executors():
            yield odd
        """,
        "the executor 'odd': on_crash is 'explode' instead of one of 'rerun', 'fail'",
    ),
    "params that are no attrs class": (
        """
        @executor("odd", params=dict)
        async def odd():
            return None

        @hookimpl
        def apflow_executors():
            yield odd
        """,
        "the executor 'odd': params is <class 'dict'> instead of an attrs class",
    ),
    "one id twice": (
        """
        def twin():
            return None

        @hookimpl
        def apflow_executors():
            yield executor("twin")(twin)
            yield executor("twin")(twin)
        """,
        "apflow_executors yields two of the id 'twin'",
    ),
    "something that is no policy": (
        """
        class Thing:
            name = "thing"
            def __repr__(self):
                return "<thing>"

        @hookimpl
        def apflow_policies():
            yield Thing()
        """,
        "<thing> is not a Policy",
    ),
    "a policy whose options are no attrs class": (
        """
        @hookimpl
        def apflow_policies():
            yield Policy("odd", around=print, options=int)
        """,
        "the policy 'odd': options is <class 'int'> instead of an attrs class",
    ),
    "a policy whose options are made already": (
        """
        @hookimpl
        def apflow_policies():
            yield Policy("odd", around=print, options=Problem("no"))
        """,
        "the policy 'odd': options is Problem(",
    ),
    "a policy without an order": (
        """
        @hookimpl
        def apflow_policies():
            yield Policy("odd", around=print, order="first")
        """,
        "the policy 'odd': order is 'first' instead of an integer",
    ),
    "a policy that takes too little": (
        """
        async def around(call_next, context):
            return await call_next()

        @hookimpl
        def apflow_policies():
            yield Policy("odd", around)
        """,
        "the policy 'odd': around(call_next, context) cannot be called with call_next, context and options: too many",
    ),
    "a policy that yields": (
        """
        async def around(call_next, context, options):
            yield

        @hookimpl
        def apflow_policies():
            yield Policy("odd", around)
        """,
        "the policy 'odd': around is not an async function that returns the result",
    ),
    "a storage that cannot be opened": (
        """
        @hookimpl
        def apflow_storages():
            yield StorageScheme("shelf", open=None)
        """,
        "the storage 'shelf': open is not a function",
    ),
    "a command that leads nowhere": (
        """
        @hookimpl
        def apflow_commands():
            yield Command("wave", "Wave.", "somewhere")
        """,
        "the command 'wave': target is 'somewhere' instead of module:attribute",
    ),
    "hooks of its own that fail": (
        """
        @hookimpl
        def apflow_addhooks(host):
            host.add_hookspecs(object())

        @hookimpl
        def apflow_event(event):
            pass
        """,
        "ValueError: did not find any 'apflow' hooks in",
    ),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_off_and_says_why_and_the_others_work(install, greeter, discover, code, reason):
    install("broken", code)
    greeter()
    host = discover()
    assert list(host.executors) == ["greet"]
    assert not host.policies
    assert not host.storages
    assert not host.commands
    broken, hello = host.plugins
    assert hello.state == "on"
    assert broken.state == "off"
    assert broken.reason.startswith(reason)
    assert "\n" not in broken.reason


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_strict_host_refuses_every_broken_plugin(install, discover, code, reason):
    install("broken", code)
    with pytest.raises(ConfigError) as refused:
        _ = discover(strict=True).plugins
    assert reason in str(refused.value)


def test_a_broken_plugin_has_no_say_in_anything(install, discover):
    install(
        "broken",
        """
        @hookimpl
        def apflow_executors():
            raise RuntimeError

        @hookimpl
        def apflow_before_execute(inputs):
            return {}

        @hookimpl
        def apflow_event(event):
            pass
        """,
    )
    host = discover()
    assert not host.gates_execution
    assert not host.observes


def test_a_broken_plugin_is_logged(install, discover, caplog):
    install("broken", "raise RuntimeError('no licence')")
    discover()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.plugin == "broken"
    assert record.getMessage() == "plugin broken (apflow-broken 1.0) is off: RuntimeError: no licence"


def test_a_class_is_no_plugin_where_it_is_handed_over():
    class Plugin:
        @hookimpl
        def apflow_event(self, event):
            """See nothing."""

    (plugin,) = Host({"classy": Plugin}).plugins
    assert (plugin.state, plugin.reason) == ("off", "apflow_event has no argument 'self', only event")


def test_a_class_that_cannot_be_made_is_off(install, states):
    install(
        "classy",
        "class Plugin:\n    def __init__(self):\n        raise OSError('no disk')",
        target="apflow_classy_classy:Plugin",
    )
    assert states()["classy"] == ("off", "OSError: no disk")


def test_two_plugins_of_one_name_are_told_apart_by_their_distributions(greeter, discover):
    greeter("hello", id="a", distribution="apflow-one")
    greeter("hello", id="b", distribution="apflow-two")
    host = discover()
    one, two = host.plugins
    assert (one.distribution, one.state) == ("apflow-one", "on")
    assert (two.distribution, two.state) == ("apflow-two", "off")
    assert two.reason == "another plugin is called 'hello'; block one of them by the name of its distribution"
    assert list(discover(block=["apflow-one"]).executors) == ["b"]


def test_one_module_under_two_names_is_used_once(greeter, install, discover):
    module = greeter("first")
    install("second", "", target=module)
    host = discover()
    assert [str(plugin.state) for plugin in host.plugins] == ["on", "off"]
    assert list(host.executors) == ["greet"]
