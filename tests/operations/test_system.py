from apflow import memory
from apflow.config import Settings
from apflow.engine import open_engine
from apflow.host import Host

from .conftest import ADA, LOCAL, WAITING


async def test_health_is_ok_when_the_storage_answers_and_no_plugin_is_broken(call):
    health = await call("system.health")
    assert (health["status"], health["plugins_off"], health["storage"]["status"]) == ("ok", [], "ok")
    assert health["storage"]["location"] == "memory:"


async def test_the_storages_facts_are_not_for_everybody(call):
    assert (await call("system.health", {}, ADA))["storage"] == {"status": "ok"}


async def test_a_broken_plugin_degrades_health_and_is_named_with_the_reason():
    async with open_engine(settings=Settings(db="memory:"), host=Host({"memory": memory, "hollow": object()})) as engine:
        health = await engine.call("system.health", {}, LOCAL)
        plugins = (await engine.call("system.plugins", {}, LOCAL))["plugins"]
    assert health["status"] == "degraded"
    assert [plugin["name"] for plugin in health["plugins_off"]] == ["hollow"]
    assert "it implements no hook" in health["plugins_off"][0]["reason"]
    assert {plugin["name"]: plugin["state"] for plugin in plugins} == {"hollow": "off", "memory": "on"}


async def test_a_storage_that_cannot_be_used_degrades_health(call):
    await call.engine.storage.close()
    health = await call("system.health")
    assert (health["status"], health["storage"]["status"]) == ("degraded", "unavailable")
    assert health["storage"]["reason"]


async def test_executors_are_described_so_that_one_can_write_a_task(call):
    executors = {executor["id"]: executor for executor in (await call("system.executors"))["executors"]}
    assert list(executors) == ["echo", "fail", "wait"]
    echo = executors["echo"]
    assert (echo["summary"], echo["plugin"]) == ("Give back what is given", "doors")
    assert echo["input_schema"]["properties"] == {"value": {"type": "string", "default": ""}}
    assert echo["output_schema"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert (await call("tasks.validate", echo["example"]))["valid"]


async def test_plugins_are_listed_with_what_they_implement(call):
    plugins = {plugin["name"]: plugin for plugin in (await call("system.plugins"))["plugins"]}
    assert sorted(plugins) == ["doors", "memory", "validators"]
    assert plugins["doors"]["hooks"] == ["apflow_executors"]
    assert plugins["memory"]["state"] == "on"
    assert plugins["memory"]["location"].endswith("__init__.py")


async def test_where_plugins_are_installed_is_not_for_everybody(call):
    assert {plugin["location"] for plugin in (await call("system.plugins", {}, ADA))["plugins"]} == {None}


async def test_stats_tell_how_much_there_is_and_how_much_runs(call, stored):
    await call("tasks.execute", {"tasks": WAITING, "fresh_ids": True})
    await call.doors.entered.wait()
    assert await call("system.stats") == {
        "tasks": {"pending": 2, "in_progress": 2},
        "trees_running": 1,
        "tasks_running": 1,
    }
    call.doors.opened.set()
    running = (await call("tasks.running.list"))["tasks"]
    await call.engine.manager.wait(running[0]["id"], 10)


async def test_attempts_that_do_not_end_make_it_degraded_beyond_so_many():
    from apflow.testing import engine_of
    from apflow_hookspecs import Caller

    async with engine_of(max_abandoned=1) as engine:
        states = []
        for abandoned in (1, 2):
            engine.manager._keeper.runner.abandoned = abandoned
            states.append((await engine.call("system.health", {}, Caller.local()))["status"])
    assert states == ["ok", "degraded"]


async def test_only_administrators_have_the_facts_counted():
    from apflow.testing import engine_of
    from apflow_hookspecs import Caller

    async with engine_of() as engine:
        seen = [
            await engine.call("system.health", {}, caller) for caller in (Caller.local(), Caller("ada", frozenset({"read"})))
        ]
    assert [health["storage"]["status"] for health in seen] == ["ok", "ok"]
    assert (len(seen[0]["storage"]) > 1, len(seen[1]["storage"])) == (True, 1)
