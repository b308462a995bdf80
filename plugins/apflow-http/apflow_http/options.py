"""What an operator may set."""

from __future__ import annotations

import os
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import gt

GIB = 1 << 30


def _folder(_: Any, attribute: Attribute[str | None], value: str | None) -> None:
    if value is None:
        return
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"http.{attribute.name} must be an absolute path, and not {value!r}")
    if not os.path.isdir(value):  # noqa: PTH112 - pathlib would be loaded at every start
        raise ValueError(f"http.{attribute.name} must be a folder, and {value!r} is none")


@frozen
class Options:
    """The section `[http]`.

    Args:
        root: Folder that is there, as an absolute path, under which tasks may save what they fetch; None saves nothing.
        max_file_bytes: Bytes of a body that is saved, at most.
    """

    root: str | None = field(default=None, validator=_folder)
    max_file_bytes: int = field(default=GIB, validator=gt(0))
