"""What an operator may set."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import gt

GIB = 1 << 30


@frozen
class Options:
    """The section `[http]`.

    Args:
        root: Folder, as an absolute path, under which tasks may save what they fetch; None saves nothing.
        max_file_bytes: Bytes of a body that is saved, at most.
    """

    root: str | None = None
    max_file_bytes: int = field(default=GIB, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        if self.root is not None and (not self.root.startswith("/") or "\0" in self.root):
            raise ValueError(f"root must be an absolute path, and not {self.root!r}")
