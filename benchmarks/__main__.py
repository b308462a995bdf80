"""`python -m benchmarks`: measure, and print one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import asdict

from benchmarks.measure import SHAPES, Case, Measurement, apart
from benchmarks.systems import LIMIT, SYSTEMS, Durability
from benchmarks.table import Block, table

DURABILITIES: tuple[Durability, ...] = ("full", "process", "memory")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=[*SHAPES], default=[*SHAPES])
    parser.add_argument("--scale", nargs="+", type=int, default=[10_000], metavar="TASKS", help="sizes of W4, in hundreds")
    parser.add_argument("--durability", nargs="+", choices=DURABILITIES, default=DURABILITIES)
    parser.add_argument("--systems", nargs="+", choices=[*SYSTEMS], default=[*SYSTEMS], help="the limit is always among them")
    parser.add_argument("--turns", type=int, default=5, help="how often each is measured, in turn (default: 5)")
    parser.add_argument("--slots", type=int, default=32, help="tasks that may run at once (default: 32, as in apflow)")
    parser.add_argument("--folder", help="on whose disk the files are made")
    parser.add_argument("--json", type=Path, help="a file for every single measurement")
    return parser.parse_args()


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    """One after the other."""
    for name in asked.workloads:
        for tasks in asked.scale if name == "W4" else [0]:
            for durability in asked.durability:
                yield Case(name, tasks, durability, asked.slots, asked.folder)


def block(case: Case, systems: Iterable[str], turns: int) -> Block:
    """Measure the systems in turn."""
    shape = f"{case.workload} {case.tree.shape}"
    found: dict[str, list[Measurement]] = {system: [] for system in systems}
    for turn in range(turns):
        for system, measurements in found.items():
            _tell(f"{shape}, {case.durability}, turn {turn + 1}: {system}")
            measurements.append(apart(system, case))
    return Block(shape, case.durability, found)


def _tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    asked = arguments()
    systems = dict.fromkeys([LIMIT, *asked.systems])
    found = [block(case, systems, asked.turns) for case in cases(asked)]
    _tell("")
    machine = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} CPUs"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}; {asked.slots} slots, {asked.turns} turns\n")
    print(table(found))
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(each) for each in found], indent=1), "utf-8")


if __name__ == "__main__":
    main()
