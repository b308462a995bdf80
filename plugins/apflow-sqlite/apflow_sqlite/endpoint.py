"""Where the owner of a file is spoken to: a Unix socket beside the file, or, where that path would be too long, in a folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

LONGEST = 100
"""Bytes; the address of a Unix socket holds 104 (macOS) or 108 (Linux), with the zero at its end."""


def socket_of(path: Path) -> Path:
    """The socket of the file at a real path: `<file>.sock`, or a hash of the path in a folder of this user's alone."""
    beside = path.with_name(f"{path.name}.sock")
    if len(os.fsencode(beside)) <= LONGEST:
        return beside
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"apflow-{os.getuid()}" / f"{name}.sock"


def prepare_socket(path: Path) -> str | None:
    """Make the place for the socket of a file that was just locked, and remove what an owner before left there.

    Returns:
        The path to bind to; None where its folder is not this user's alone, or another file is in its place.
    """
    socket = socket_of(path)
    if socket.parent != path.parent:
        socket.parent.mkdir(mode=0o700, exist_ok=True)
        folder = socket.parent.lstat()
        if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != os.getuid() or folder.st_mode & 0o077:
            return None
    if socket.is_socket():
        socket.unlink()
    return None if os.path.lexists(socket) else str(socket)
