import logging
import subprocess
import sys

import pytest

from apflow import loading
from apflow.host import Host
from apflow.plugins import PluginState, installed
from apflow_hookspecs import hookimpl
from apflow_hookspecs.errors import ConfigError


def test_an_installed_plugin_is_found_by_itself(greeter):
    greeter()
    host = Host.discover()
    assert "greet" in host.executors
    assert "hello" in [plugin.name for plugin in host.plugins]


async def test_the_executor_of_an_installed_plugin_works(greeter, discover):
    greeter()
    assert await discover().executors["greet"].execute({"name": "Ada"}) == "Hello Ada"


def test_a_plugin_is_shown_with_all_that_a_bug_report_needs(greeter, discover, site):
    module = greeter(version="2.5")
    (plugin,) = discover().plugins
    assert (plugin.name, plugin.distribution, plugin.version) == ("hello", "apflow-hello", "2.5")
    assert (plugin.state, plugin.reason, plugin.hooks) == (PluginState.ON, None, ("apflow_executors",))
    assert (plugin.target, plugin.location) == (module, str(site / f"{module}.py"))
    assert plugin.label == "hello (apflow-hello 2.5)"


def test_metadata_is_listed_without_importing_anything(greeter, site):
    module = greeter()
    (plugin,) = [found.info for found in installed(allow=["hello"]) if found.name == "hello"]
    assert (plugin.state, plugin.version, plugin.location) == (PluginState.NOT_LOADED, "1.0", str(site))
    assert module not in sys.modules


def test_plugins_come_in_the_order_of_their_names(greeter, discover):
    for name in ("zebra", "ant", "mole"):
        greeter(name, id=name)
    host = discover()
    assert [plugin.name for plugin in host.plugins] == ["ant", "mole", "zebra"]
    assert list(host.executors) == ["ant", "mole", "zebra"]


@pytest.mark.parametrize("spelling", ["my_hello", "my-hello", "MY.Hello", "apflow-hello", "Apflow_Hello", "apflow.hello"])
def test_a_plugin_is_blocked_by_its_own_or_its_distributions_name_however_spelt(greeter, discover, spelling):
    module = greeter("my_hello", distribution="apflow-hello")
    host = discover(block=[spelling])
    (plugin,) = host.plugins
    assert plugin.state is PluginState.BLOCKED
    assert spelling in plugin.reason
    assert not host.executors
    assert module not in sys.modules


def test_other_plugins_are_not_allowed_when_some_are(greeter, states):
    greeter("hello", id="a")
    greeter("other", id="b")
    found = states(allow=["APFLOW_hello"])
    assert found["hello"] == ("on", None)
    assert found["other"] == ("not allowed", "plugins.allow does not name it, only APFLOW_hello")


def test_the_hosts_own_plugins_need_no_permission(states, greeter):
    greeter("builtin", distribution="apflow")
    greeter("other", id="b")
    assert states(allow=["hello"]) == {
        "builtin": ("on", None),
        "other": ("not allowed", "plugins.allow does not name it, only hello"),
    }


def test_a_block_wins_over_a_permission(greeter, states):
    greeter()
    assert states(allow=["hello"], block=["hello"])["hello"][0] == "blocked"


def test_a_broken_plugin_is_fatal_when_the_host_is_strict(install, discover):
    install("broken", "raise RuntimeError('no licence')")
    with pytest.raises(ConfigError, match=r"broken \(apflow-broken 1.0\).*RuntimeError: no licence"):
        discover(strict=True)


def test_a_strict_host_does_not_mind_a_blocked_plugin(install, states):
    install("broken", "raise RuntimeError('no licence')")
    assert states(block=["broken"], strict=True)["broken"][0] == "blocked"


def test_a_slow_import_is_logged(greeter, discover, monkeypatch, caplog):
    monkeypatch.setattr(loading, "SLOW_IMPORT", 0.0)
    greeter()
    with caplog.at_level(logging.WARNING):
        discover()
    assert "hello" in caplog.text
    assert "to import" in caplog.text


def test_two_hosts_live_side_by_side(greeter, discover):
    greeter()
    blocked, open_ = discover(block=["hello"]), discover()
    assert not blocked.executors
    assert list(open_.executors) == ["greet"]


def test_a_host_takes_plugins_that_are_handed_over_and_no_others():
    class Mine:
        @hookimpl
        def apflow_event(self, event):
            """See nothing."""

    host = Host({"mine": Mine()})
    (plugin,) = host.plugins
    assert (plugin.name, plugin.state, plugin.hooks, plugin.distribution) == ("mine", PluginState.ON, ("apflow_event",), None)


def test_nothing_but_the_commands_is_asked_for_the_help(install, discover):
    install(
        "shy",
        """
        @hookimpl
        def apflow_commands():
            yield Command("wave", "Wave.", "shy:wave")

        @hookimpl
        def apflow_executors():
            raise RuntimeError("asked")
        """,
    )
    host = discover()
    assert list(host.commands) == ["wave"]
    (plugin,) = host.plugins
    assert (plugin.state, plugin.reason) == (PluginState.OFF, "RuntimeError: asked")


CLASS = """
made = []

class Plugin:
    def __init__(self):
        made.append(self)

    @hookimpl
    def apflow_event(self, event):
        pass

plugin = Plugin()
made.clear()
"""


def test_a_class_behind_an_entry_point_is_made_once_for_each_host(install, discover):
    module = install("classy", CLASS, target="apflow_classy_classy:Plugin")
    for _ in range(2):
        (plugin,) = discover().plugins
        assert plugin.state is PluginState.ON
    one, other = sys.modules[module].made
    assert one is not other


def test_an_instance_can_be_behind_an_entry_point(install, discover):
    module = install("instance", CLASS, target="apflow_instance_instance:plugin")
    (plugin,) = discover().plugins
    assert plugin.state is PluginState.ON
    assert not sys.modules[module].made


def test_hosting_loads_nothing_heavy():
    code = "import sys, apflow.host, apflow.known; apflow.host.Host(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"cattrs", "msgspec", "tomllib", "click", "rich", "platformdirs"} & set(loaded)
