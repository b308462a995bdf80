"""Reading tasks from a JSON file, strictly: what is not JSON is refused with the place where it goes wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from apflow_hookspecs import Json
from apflow_hookspecs.errors import InvalidParams, shortened

STDIN = "-"


class UnreadableFile(InvalidParams):
    """The file does not hold JSON."""


def read_tasks(file: str) -> list[Json]:
    """The tasks in a file, or on standard input for `-`: an array, an object `{"tasks": […]}`, or a single task.

    Raises:
        UnreadableFile: It cannot be read, or is not JSON.
    """
    document = read_json(file)
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        tasks = document.get("tasks", [document])
        if isinstance(tasks, list):
            return tasks
    raise UnreadableFile(f"{_named(file)}: must hold an array of tasks, and holds {shortened(document)}")


def read_json(file: str) -> Json:
    """The JSON document in a file, or on standard input for `-`.

    Refuses an object's key given twice, which has not one meaning. NaN and infinities pass, though they are not JSON either:
    whoever takes the tasks refuses them by the name of the task.
    """
    name = _named(file)
    text = _decoded(_content(file), name)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UnreadableFile(f"{name}: nested too deep") from None
    except ValueError as error:
        # Ours, and that of an integer with more digits than Python reads.
        raise UnreadableFile(f"{name}: {error}") from None


def _named(file: str) -> str:
    return "standard input" if file == STDIN else file


def _content(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except FileNotFoundError:
        raise UnreadableFile(f"{file}: there is no such file") from None
    except IsADirectoryError:
        raise UnreadableFile(f"{file}: is a folder, not a file") from None
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"{name}, line {line}: not UTF-8 text (byte 0x{content[error.start]:02x})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shortened(twice)} stands twice in one object")
    return members
