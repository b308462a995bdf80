"""What is gathered, under which names."""

from __future__ import annotations

from datetime import UTC, datetime

from apflow_aggregate import AggregateResults


async def test_the_results_of_dependencies_are_gathered_by_their_keys(aggregate):
    gathered = await aggregate({"cpu": {"cores": 8}, "a.b": [1], "nothing": None})
    assert gathered["results"] == {"cpu": {"cores": 8}, "a.b": [1], "nothing": None}
    assert gathered["result_count"] == 3
    assert gathered["summary"] == "3 results: cpu, a.b, nothing"


async def test_the_time_is_told_in_utc(aggregate):
    before = datetime.now(UTC)
    told = (await aggregate({}))["timestamp"]
    assert told.endswith("Z")
    assert before <= datetime.fromisoformat(told) <= datetime.now(UTC)


async def test_nothing_to_gather_is_a_result_too(aggregate):
    gathered = await aggregate({})
    assert (gathered["summary"], gathered["results"], gathered["result_count"]) == ("No results", {}, 0)


async def test_an_optional_dependency_that_failed_appears_as_its_error(aggregate):
    error = {"code": "failed", "message": "no disk", "details": None}
    assert (await aggregate({"disk": error}))["results"] == {"disk": error}


async def test_inputs_of_the_author_follow_the_dependencies(aggregate):
    gathered = await aggregate({"cpu": 1}, {"note": "by hand", "a.b": 2})
    assert list(gathered["results"].items()) == [("cpu", 1), ("note", "by hand"), ("a.b", 2)]


async def test_what_the_author_wrote_under_a_dependencys_key_takes_its_place(aggregate):
    assert (await aggregate({"cpu": {"cores": 8}, "disk": 2}, {"cpu": 8}))["results"] == {"cpu": 8, "disk": 2}


async def test_what_a_hook_added_never_hides_a_dependency(aggregate):
    gathered = await aggregate({"cpu": 1}, {}, {"cpu": None, "region": "eu", "cpu.cores": 8})
    assert gathered["results"] == {"cpu": 1, "region": "eu"}


async def test_the_summary_names_ten_at_most(aggregate):
    gathered = await aggregate({f"t{n}": n for n in range(12)})
    assert gathered["summary"] == "12 results: t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more"
    assert (await aggregate({"one": 1}))["summary"] == "1 result: one"


async def test_it_gathers_its_inputs_where_there_is_no_context():
    assert (await AggregateResults().execute({"a": 1, "b.c": 2}))["results"] == {"a": 1}


async def test_what_is_gathered_is_not_changed(aggregate):
    results, inputs = {"cpu": {"cores": 8}}, {"note": ["x"]}
    await aggregate(results, inputs)
    assert (results, inputs) == ({"cpu": {"cores": 8}}, {"note": ["x"]})
