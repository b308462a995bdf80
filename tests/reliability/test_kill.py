"""Real processes that are killed; the full size is `python -m apflow.testing.kill --kills 200 --trees 500`."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from samples import task

from apflow.testing.checker import violations
from apflow.testing.evidence import gather
from apflow.testing.kill import Driver, Stuck, end_at, every_commit, evidence, kill_often
from apflow.testing.worker import Place, engine_at, open_storage

LIFE = """
import asyncio, sys
from pathlib import Path
from apflow.testing.forest import Submission
from apflow.testing.worker import Place, engine_at, submit

TASKS = [
    {"id": "root"},
    {"id": "bad", "parent_id": "root", "executor": "journaling_executor", "inputs": {"exit": True}},
    {
        "id": "next",
        "parent_id": "root",
        "executor": "journaling_executor",
        "dependencies": [{"id": "bad", "required": False}],
    },
]

async def main():
    place = Place(Path(sys.argv[1]))
    async with engine_at(place, max_recoveries=2) as engine:
        await engine.manager.resume()
        await submit(engine, place, [Submission(TASKS)])
        await engine.manager.wait("root")

asyncio.run(main())
"""
"""A process one of whose tasks ends it."""

pytestmark = pytest.mark.timeout(300)


def test_twenty_kills_at_random_moments_and_during_recovery_lose_nothing(tmp_path):
    report = kill_often(tmp_path, kills=20, trees=60, seed=3)
    assert report.violations == [], str(report)
    assert (report.kills, report.trees) == (20, 60)
    assert report.recoveries > 0, "nothing was cut off"


async def test_a_process_may_end_before_and_after_each_of_its_commits(tmp_path):
    reports = await every_commit(tmp_path)
    assert [str(report) for report in reports if report.violations] == []
    assert len(reports) > 20
    assert any(report.recoveries for report in reports)


async def test_a_back_up_that_is_made_meanwhile_passes_the_checker_too(tmp_path):
    (tmp_path / "copy").mkdir()
    async with engine_at(Place(tmp_path)) as engine:
        for n in range(20):
            await engine.creator.create_task_tree_from_array(
                [task("root", "journaling_executor")], fresh_ids=True, execute=True
            )
            if n == 10:
                await engine.storage.backup(str(tmp_path / "copy" / "flow.db"))
        while running := engine.manager.running():
            await engine.manager.wait(running[0].id)
    storage = await open_storage(Place(tmp_path / "copy"), read_only=True)
    try:
        copied = await gather(storage)
    finally:
        await storage.close()
    assert len(copied.trees) == 11
    assert violations(copied, over=False) == []


def test_an_executor_that_ends_the_process_is_run_a_few_times_and_not_for_ever(tmp_path):
    codes = []
    while 0 not in codes:
        codes.append(subprocess.run([sys.executable, "-c", LIFE, str(tmp_path)], check=False).returncode)
    found = asyncio.run(evidence(Place(tmp_path)))
    tree = found.trees["root"].tree
    starts = [entry.key for entry in found.trees["root"].entries if entry.mark == "start"]
    assert codes == [1, 1, 1, 0]
    assert starts.count("bad") == 3
    assert tree.tasks["bad"].error["code"] == "recovery_limit"
    assert tree.tasks["next"].status == "completed"
    assert violations(found) == []


async def test_a_tree_takes_no_more_commits_than_it_takes(tmp_path):
    assert await end_at(tmp_path, 1000, after=False) is None
    assert violations(await evidence(Place(tmp_path))) == []


def test_a_process_that_ends_by_itself_is_told_with_its_last_words(tmp_path):
    with pytest.raises(Stuck, match=r"(?s)2.*unrecognized arguments: --nonsense"):
        Driver(Place(tmp_path)).kill("--nonsense", after="ready", within=10)
