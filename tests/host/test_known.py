from pathlib import Path

from apflow import known
from apflow.host import Host
from apflow.known import missing_executor, missing_policy, missing_storage

HOUSE = Path(__file__).resolve().parents[2]
STDIO = """
@executor("command_executor")
async def run(command: str) -> str:
    return command

@hookimpl
def apflow_executors():
    yield run
"""


def test_what_is_not_installed_is_named_by_its_distribution():
    assert missing_executor("command_executor", Host()) == (
        "executor 'command_executor' comes with apflow-stdio, which is not installed"
    )
    assert missing_storage("sqlite", Host()) == "storage 'sqlite' comes with apflow-sqlite, which is not installed"


def test_what_is_blocked_is_said_to_be(install, discover):
    install("stdio", STDIO)
    assert missing_executor("command_executor", discover(block=["stdio"])) == (
        "executor 'command_executor' comes with apflow-stdio, whose plugin 'stdio' is blocked: plugins.block names 'stdio'"
    )


def test_what_is_broken_is_said_to_be(install, discover):
    install("stdio", "raise OSError('no disk')")
    assert missing_executor("command_executor", discover()).endswith("whose plugin 'stdio' is off: OSError: no disk")


def test_what_an_installed_version_lacks_is_said_to_be(install, discover):
    install("stdio", STDIO)
    assert missing_executor("system_info_executor", discover()).endswith("which is installed in another version")


def test_a_typo_leads_to_the_nearest_name(greeter, discover):
    greeter()
    host = discover()
    assert missing_executor("gret", host) == "no plugin provides the executor 'gret'; did you mean 'greet'?"
    assert missing_executor("comand_executor", host).endswith("did you mean 'command_executor'?")


def test_a_strange_name_leads_to_what_there_is(greeter, discover):
    greeter()
    assert missing_executor("zzz", discover()) == "no plugin provides the executor 'zzz'; those that there are: greet"
    assert missing_policy("zzz", discover()) == "no plugin provides the policy 'zzz'; those that there are: none"


def test_what_is_known_is_what_the_installed_distributions_of_this_repository_provide():
    host = Host.discover()
    provided = {
        (kind, key): host.provider(kind, key).distribution
        for kind, keys in (("executor", host.executors), ("storage", host.storages), ("policy", host.policies))
        for key in keys
    }
    listed = (("executor", known.EXECUTORS), ("storage", known.STORAGES), ("policy", known.POLICIES))
    advised = {(kind, key): distribution for kind, names in listed for key, distribution in names.items()}
    there = {plugin.distribution for plugin in host.plugins}
    ours = {folder.parent.name for folder in HOUSE.glob("plugins/*/pyproject.toml")}
    assert {place: distribution for place, distribution in provided.items() if distribution in ours} == {
        place: distribution for place, distribution in advised.items() if distribution in there
    }
