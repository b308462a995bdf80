"""The kill harness: processes that run trees are killed again and again, and what they leave behind is judged.

    python -m apflow.testing.kill --kills 200 --trees 500
    python -m apflow.testing.kill --every-commit

The first kills at random moments and during recovery, with SIGKILL. The second lets a process end itself right before and right
after each of its commits, the first, the second … to the last, while it runs a tree of ten tasks. Both need `apflow-sqlite`.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from attrs import frozen

from apflow.testing.checker import Violation, violations
from apflow.testing.evidence import Evidence, gather
from apflow.testing.forest import ten_tasks
from apflow.testing.worker import ENDED, Place, live, open_storage

MOMENTS = (("opening", 0.03), ("ready", 0.15), ("ready", 0.15))
"""Word of the process after which it is killed, and the seconds within which: while it opens the storage, or later."""
LONGEST = 300.0
"""Seconds that a process may take which is not killed."""


class Stuck(Exception):
    """A process of the harness did not do its part."""


@frozen(kw_only=True)
class Report:
    """What a run of the harness has found.

    Args:
        kills: Processes that were killed, or ended themselves.
        recoveries: Tasks that were cut off while they ran, all told.
        violations: What must not be.
    """

    kills: int
    trees: int
    tasks: int
    events: int
    recoveries: int
    acknowledged: int
    seconds: float
    violations: list[Violation]

    def __str__(self) -> str:
        done = f"{self.kills} kills over {self.trees} trees of {self.tasks} tasks in {self.seconds:.0f} s"
        told = f"{self.events} events, {self.acknowledged} acknowledgements, {self.recoveries} tasks cut off and run again"
        return "\n".join([f"{done}: {told}; {len(self.violations)} violations", *map(str, self.violations)])


class Driver:
    """Starts processes in one folder, and kills them.

    Args:
        place: The files.
        arguments: Of each process, beside the folder.
    """

    def __init__(self, place: Place, *arguments: str) -> None:
        self._place = place
        self._command = [sys.executable, "-m", "apflow.testing.worker", str(place.folder), *arguments]
        self._log = place.folder / "stderr.txt"

    def kill(self, *arguments: str, after: str, within: float) -> None:
        """Start a process, and kill it so many seconds after it said a word."""
        with self._start(*arguments) as process:
            try:
                self._await_word(process, after)
                process.wait(within)
            except subprocess.TimeoutExpired:
                return
            finally:
                process.kill()
        raise Stuck(f"the process ended by itself, with {process.returncode}: {self._last_words()}")

    def finish(self, *arguments: str) -> int:
        """Run a process to its end: 0, or `ENDED` where it ended itself."""
        with self._start(*arguments) as process:
            try:
                process.communicate(timeout=LONGEST)
            finally:
                process.kill()
        if process.returncode not in (0, ENDED):
            raise Stuck(f"the process ended with {process.returncode}: {self._last_words()}")
        return process.returncode

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            return subprocess.Popen([*self._command, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - ours

    def _await_word(self, process: subprocess.Popen[str], word: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == word:
                return

    def _last_words(self) -> str:
        return self._log.read_text()[-2000:]


def kill_often(folder: Path, kills: int, trees: int, seed: int = 0, tell: Callable[[str], None] = lambda _: None) -> Report:
    """Kill processes at random moments, let the last one finish, and judge.

    Args:
        folder: An empty one.
        kills: How many processes are killed.
        trees: How many trees they submit, all together.
        seed: Of the trees and of the moments.
        tell: Called now and then with how far it is.

    Raises:
        Stuck: A process ended by itself, or did not end at last.
    """
    began = time.monotonic()
    random = Random(seed)  # noqa: S311 - it has to be the same again
    place = Place(folder)
    driver = Driver(place, "--seed", str(seed))
    for life in range(1, kills + 1):
        word, within = random.choice(MOMENTS)
        upto = trees * life // (kills + 1)
        driver.kill("--stay", "--trees", str(upto), after=word, within=random.uniform(0, within))
        if life % 20 == 0:
            tell(f"{life} of {kills} kills")
    driver.finish("--trees", str(trees))
    return report(asyncio.run(evidence(place)), kills, time.monotonic() - began)


async def end_at(folder: Path, commit: int, *, after: bool, again: bool = False) -> Report | None:
    """Have a process that runs a tree of ten tasks end itself at a commit, go on with the next one, and judge.

    Args:
        folder: An empty one.
        commit: Number of the commit.
        after: Whether it ends right after the commit instead of right before.
        again: Whether the second process ends in the same way at its first commit, in which it recovers.

    Returns:
        None when the tree took fewer commits.
    """
    began = time.monotonic()
    place = Place(folder)
    moment = ["--after"] if after else []
    driver = Driver(place, *moment)
    if await asyncio.to_thread(driver.finish, "--end-at", str(commit)) == 0:
        return None
    if again:
        await asyncio.to_thread(driver.finish, "--end-at", "1")
    await live(place, [ten_tasks()])
    return report(await evidence(place), 1 + again, time.monotonic() - began)


async def every_commit(folder: Path) -> list[Report]:
    """`end_at` the first commit, the second … to the last of a tree of ten tasks, before it and after it."""
    reports: list[Report] = []
    commit = 1
    while True:
        folders = [folder / f"{commit}-{moment}" for moment in ("before", "after")]
        for each in folders:
            each.mkdir()
        pair = [end_at(each, commit, after=bool(place), again=commit % 2 == 0) for place, each in enumerate(folders)]
        done = [found for found in await asyncio.gather(*pair) if found is not None]
        if not done:
            return reports
        reports += done
        commit += 1


async def evidence(place: Place) -> Evidence:
    """What the processes of a run have left; the storage is only looked at."""
    storage = await open_storage(place, read_only=True)
    try:
        return await gather(storage, place.entries.read(), place.notes.read())
    finally:
        await storage.close()


def report(found: Evidence, kills: int, seconds: float) -> Report:
    """The judgement, with numbers."""
    tasks = [task for stored in found.trees.values() for task in stored.tree]
    return Report(
        kills=kills,
        trees=len(found.trees),
        tasks=len(tasks),
        events=sum(len(stored.events) for stored in found.trees.values()),
        recoveries=sum(task.recoveries for task in tasks),
        acknowledged=len(found.acknowledged),
        seconds=seconds,
        violations=violations(found),
    )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        prog="python -m apflow.testing.kill", description="Kill an engine, and judge what is left."
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every-commit", action="store_true", help="end at each commit of a tree of ten tasks instead")
    parser.add_argument("--folder", type=Path, help="keep the files here; it has to be empty")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.every_commit:
            reports = asyncio.run(every_commit(folder))
        else:
            reports = [kill_often(folder, options.kills, options.trees, options.seed, print)]
    print(*reports, sep="\n")  # noqa: T201 - a program's output
    sys.exit(any(found.violations for found in reports))


if __name__ == "__main__":
    main()
