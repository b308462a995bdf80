"""`apflow` as a user meets it: as another process, with a storage and plugins of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import attrs


def install(folder: Path, name: str, **modules: str) -> None:
    """Make a folder one in which the plugin `name` is installed, with its modules."""
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    metadata = folder / f"apflow_{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: apflow-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[apflow]\n{name} = {next(iter(modules))}\n")


@attrs.frozen
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@attrs.frozen
class Program:
    """`apflow` in a folder, with the plugins of `plugins` and without the settings of whoever runs the tests."""

    folder: Path
    plugins: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("APFLOW_", "XDG_", "NO_COLOR"))}
        return {
            **ours,
            "APFLOW_BLOCK": "aggregate",
            "APFLOW_DB": str(self.folder / "flow.db"),
            "PYTHONPATH": str(self.plugins),
            "TZ": "UTC",
        }

    def __call__(self, *arguments: str | Path, stdin: str | bytes = "", **environment: str) -> Finished:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**self.environment, **environment},
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "apflow", *map(str, arguments)]

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        environment = options.pop("environment", self.environment)
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, env=environment, **options)

    def file(self, tasks: Any, name: str = "tasks.json") -> str:
        (self.folder / name).write_text(json.dumps(tasks))
        return name


DEADLINE = 60.0
"""Seconds after which a test that waits for something has failed."""


class Running:
    """A program that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        self._news = threading.Condition()
        self._ended: set[str] = set()
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def until(self, text: str, stream: str = "out") -> str:
        """The first line that holds a text, once it is said."""
        with self._news:
            said = self._news.wait_for(lambda: self._line(text, stream) or stream in self._ended, DEADLINE)
            line = self._line(text, stream)
        assert line is not None, f"{'it ended' if said else 'it did not say'}: {text!r}; it said {self._said}"
        return line

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def finish(self) -> Finished:
        """Wait for its end."""
        code = self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        return Finished(code, "".join(self._said["out"]), "".join(self._said["err"]))

    def close(self) -> None:
        self.process.kill()
        self.finish()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _line(self, text: str, stream: str) -> str | None:
        return next((line for line in self._said[stream] if text in line), None)

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            with self._news:
                self._said[name].append(line.decode())
                self._news.notify_all()
        with self._news:
            self._ended.add(name)
            self._news.notify_all()
