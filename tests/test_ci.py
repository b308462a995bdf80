"""What CI ends with: the total over the reports of all test environments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOTAL = Path(__file__).resolve().parents[1] / ".ci" / "total.py"


@pytest.fixture
def total(tmp_path):
    (tmp_path / "results").mkdir()

    def ended(status: int = 0, environments: dict[str, bool] | None = None) -> tuple[str, int]:
        report = {"testenvs": {name: {"result": {"success": good}} for name, good in (environments or {}).items()}}
        (tmp_path / "tox.json").write_text(json.dumps(report))
        done = subprocess.run(
            [sys.executable, TOTAL, str(status), tmp_path / "tox.json", tmp_path / "results"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.splitlines()[-1], done.returncode

    return ended


@pytest.fixture
def report(tmp_path):
    def written(name: str, **numbers: int) -> None:
        counts = " ".join(f'{key}="{number}"' for key, number in numbers.items())
        (tmp_path / "results" / f"{name}.xml").write_text(f"<testsuites><testsuite {counts}/></testsuites>")

    return written


def test_the_tests_of_all_environments_are_added_up(total, report):
    report("py311", tests=10, failures=0, errors=0, skipped=1)
    report("py312", tests=5, failures=0, errors=0, skipped=0)
    assert total(environments={"py311": True, "py312": True, "lint": True}) == ("14 passed, 0 failed", 0)


def test_failures_and_errors_are_failed(total, report):
    report("py311", tests=10, failures=2, errors=1, skipped=0)
    assert total(1, {"py311": False}) == ("7 passed, 3 failed", 1)


def test_an_environment_without_tests_that_failed_is_a_failure(total, report):
    report("py311", tests=10, failures=0, errors=0, skipped=0)
    assert total(1, {"py311": True, "lint": False}) == ("10 passed, 1 failed", 1)


def test_a_run_that_failed_for_another_reason_is_a_failure(total, report):
    report("py311", tests=10, failures=0, errors=0, skipped=0)
    assert total(1, {"py311": True}) == ("10 passed, 1 failed", 1)


def test_a_run_that_tested_nothing_failed(total):
    assert total() == ("0 passed, 1 failed", 1)
