"""The checker, on a small engine with bugs: it finds each, and finds nothing where there is none."""

from __future__ import annotations

import pytest
from reliability.reference import Crash, ReferenceEngine

from apflow.memory.storage import MemoryStorage
from apflow.testing.checker import RULES, violations
from apflow.testing.evidence import gather

BUGS = {
    "a lost tree": "what is acknowledged is kept",
    "a cancellation that is forgotten": "what is acknowledged is kept",
    "half a tree": "trees are whole",
    "a gap": "events have no gap",
    "an end without an event": "events tell what happened",
    "dependents before their dependencies": "events tell what happened",
    "two ends": "each ends once",
    "two ends of the tree": "each ends once",
    "an early end of the tree": "each ends once",
    "completed tasks run again": "what completed lasts",
    "a lost result": "what completed lasts",
    "no claim": "claims come first",
    "results of another": "dependencies come first",
    "a crash that is an attempt": "a crash is no attempt",
    "a crash that is not counted": "a crash is no attempt",
    "dependents of failed tasks": "ends go together",
    "a skip without a cause": "ends go together",
    "a task that is left behind": "nothing is left behind",
}
"""Each bug, and a rule that it breaks."""


def work(key, *needed, parent="root", **inputs):
    return {"id": key, "parent_id": parent, "executor": "work", "dependencies": list(needed), "inputs": inputs}


TREE = [
    {"id": "root"},
    work("first"),
    work("second", "first"),
    work("bad", "first", failures=1),
    work("after-bad", "bad"),
    work("despite-bad", {"id": "bad", "required": False}),
    {"id": "group", "parent_id": "root"},
    work("inside", "second", parent="group"),
    work("last", "group"),
    work("unwanted", "last"),
]
UNWANTED = 9
STARTS = 6


async def judged(bugs=(), crash_at=None):
    """What the checker says of a run with some bugs and, at a start of an executor, a crash."""
    engine = ReferenceEngine(MemoryStorage(), frozenset(bugs), crash_at)
    await engine.create(TREE)
    await engine.request()
    if "half a tree" not in bugs:
        await engine.cancel(UNWANTED)
    try:
        await engine.run()
    except Crash:
        await engine.recover()
        await engine.run()
    return violations(await gather(engine.storage, engine.entries, engine.notes))


@pytest.mark.parametrize("crash_at", [None, *range(1, STARTS + 1)])
async def test_the_checker_has_nothing_against_an_engine_without_bugs(crash_at):
    assert [str(violation) for violation in await judged(crash_at=crash_at)] == []


@pytest.mark.parametrize(("bug", "rule"), BUGS.items(), ids=list(BUGS))
async def test_the_checker_finds_a_planted_bug(bug, rule):
    crash_at = 3 if rule in ("a crash is no attempt", "nothing is left behind", "claims come first") else None
    found = {violation.rule for violation in await judged([bug], crash_at)}
    assert rule in found


def test_there_is_a_bug_for_every_rule():
    assert set(BUGS.values()) == set(RULES)


async def test_a_tree_that_ran_and_is_not_stored_is_told():
    engine = ReferenceEngine(MemoryStorage(), frozenset(["a lost tree"]))
    await engine.create(TREE)
    await engine.run()
    assert "what runs is stored" in {v.rule for v in violations(await gather(engine.storage, engine.entries))}


async def test_what_the_storage_finds_wrong_is_told():
    class Damaged(MemoryStorage):
        async def check(self):
            return ["a page is missing"]

    assert [str(v) for v in violations(await gather(Damaged()))] == ["the storage is whole: : a page is missing"]


async def test_a_tree_that_still_runs_is_no_violation_when_it_may():
    engine = ReferenceEngine(MemoryStorage(), crash_at=3)
    await engine.create(TREE)
    await engine.request()
    with pytest.raises(Crash):
        await engine.run()
    evidence = await gather(engine.storage, engine.entries, engine.notes)
    assert violations(evidence, over=False) == []
    assert {violation.rule for violation in violations(evidence)} == {"nothing is left behind"}
