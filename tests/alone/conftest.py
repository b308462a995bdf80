"""The host without a plugin: collected only where none is installed, which is what the test environment `none` is for."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pytest

PLUGINS = {entry.dist.name for entry in entry_points(group="apflow") if entry.dist is not None} - {"apflow"}

collect_ignore_glob = ["test_*.py"] if PLUGINS else []


@attrs.frozen
class Finished:
    code: int
    out: str
    err: str


@attrs.frozen
class Program:
    """`apflow`, in a folder of its own and without the settings of whoever runs the tests."""

    folder: Path

    def __call__(self, *arguments: str, stdin: str = "") -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "apflow", *arguments],
            cwd=self.folder,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("APFLOW_")}
        return {**inherited, "XDG_CONFIG_HOME": str(self.folder / "config"), "XDG_DATA_HOME": str(self.folder / "data")}


@pytest.fixture
def apflow(tmp_path: Path) -> Program:
    return Program(tmp_path)
