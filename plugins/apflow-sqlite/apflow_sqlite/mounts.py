"""On what kind of filesystem a file lies: over a network, locks and the shared memory of the log cannot be relied on.

https://www.sqlite.org/wal.html: "All processes using a database must be on the same host computer; WAL does not work over a
network filesystem."
"""

from __future__ import annotations

import re
from pathlib import Path

from apflow_hookspecs import errors

MOUNTS = Path("/proc/self/mounts")

_NETWORK = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "pvfs2", "smb2", "smb3",
    "smbfs",
})  # fmt: skip


def refuse_network(path: Path) -> None:
    """Raise where a file lies, or would lie, on a network filesystem; where that cannot be known, it does not.

    Raises:
        StorageBroken: It does.
    """
    try:
        table = MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return
    kind = filesystem(path, table)
    if kind in _NETWORK:
        raise errors.StorageBroken(
            f"{path}: lies on a network filesystem ({kind}), where SQLite's locks do not hold; "
            "name a file on a local disk, or set force = true under [sqlite] where one machine alone uses it"
        )


def filesystem(path: Path, table: str) -> str | None:
    """The type of the filesystem that holds an absolute path without symbolic links, by a table as in `/proc/mounts`."""
    folders = {path, *path.parents}
    kind, depth = None, 0
    for line in table.splitlines():
        _, point, mounted, *_ = line.split(" ")
        folder = Path(_unescaped(point))
        # Of two on one folder, the later hides the earlier.
        if folder in folders and len(folder.parts) >= depth:
            kind, depth = mounted, len(folder.parts)
    return kind


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
