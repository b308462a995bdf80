"""Running the program as a user does: another process, a storage of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from programs import Finished

HOUSE = Path(__file__).resolve().parents[2]
EXAMPLES = HOUSE / "examples"


@attrs.frozen
class Program:
    """`apflow` with a storage of its own, and without the settings of whoever runs the tests."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path, **environment: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "apflow", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, "APFLOW_DB": str(self.folder / "flow.db"), **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("APFLOW_")}
    return {**inherited, "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path / "data")}


@pytest.fixture
def apflow(tmp_path: Path, environment: dict[str, str]) -> Program:
    return Program(tmp_path, environment)


@pytest.fixture(scope="session")
def hello_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which `apflow-hello` was installed, alone."""
    folder = tmp_path_factory.mktemp("hello")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, str(EXAMPLES / "apflow-hello")], check=True, timeout=110)
    return folder


@pytest.fixture
def apflow_with_hello(tmp_path: Path, environment: dict[str, str], hello_folder: Path) -> Program:
    return Program(tmp_path, {**environment, "PYTHONPATH": str(hello_folder)})
