"""Adds up what the test environments report: `total.py STATUS TOX_JSON RESULTS` prints `N passed, N failed`.

An environment that failed without a failing test (a linter, an installation) counts as one failure, and so does a run that
tested nothing.
"""
# ruff: noqa: INP001, T201 - a script, which prints

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def counted(report: Path) -> tuple[int, int]:
    """Passed and failed tests of one JUnit report."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it
    number = {name: sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    return number["tests"] - number["skipped"] - failed, failed


def failing_environments(report: Path) -> set[str]:
    """Names of the environments that tox calls failed."""
    environments = json.loads(report.read_text())["testenvs"] if report.exists() else {}
    return {name for name, environment in environments.items() if not environment.get("result", {}).get("success", True)}


def main(status: str, tox: str, results: str) -> int:
    """Print the total; 1 when anything failed."""
    totals = {report.stem: counted(report) for report in sorted(Path(results).glob("*.xml"))}
    passed = sum(good for good, _ in totals.values())
    blamed = {name for name, (_, bad) in totals.items() if bad}
    failed = sum(bad for _, bad in totals.values()) + len(failing_environments(Path(tox)) - blamed)
    if not failed and (not passed or status != "0"):
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
