"""Whether the file that is written is still the one that its path names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from apflow_sqlite.failures import gone
from apflow_sqlite.files import lock_of

INTERVAL = 1.0
"""Seconds for which a look is good: measured, two looks a commit would be a tenth of a small one's time."""


class Watch:
    """Knows the inodes of the file, of its lock, and of the log beside it.

    Without the file or the log a commit would go where nobody finds it, and without the lock another process may own the file.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next = 0.0
        self._known = {file: _inode(file) for file in (path, lock_of(path))}

    def look(self) -> None:
        """Look, unless that was done just now.

        Raises:
            StorageBroken: One of them is gone, or another.
        """
        if self._clock() >= self._next:
            self.look_now()
            self._next = self._clock() + INTERVAL

    def look_now(self) -> None:
        """Look at the file, at the lock and, where it was seen before, at the log; as `look`."""
        for file in (self._path, lock_of(self._path), self._log):
            if file in self._known or file.exists():
                found = _inode(file)
                if found is None or self._known.setdefault(file, found) != found:
                    raise gone(self._path, file)

    def forget_log(self) -> None:
        """The connection is closed, which may remove the log."""
        self._known.pop(self._log, None)

    @property
    def _log(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
