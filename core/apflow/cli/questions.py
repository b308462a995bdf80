"""What tasks ask, as a person gets to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import define

from apflow.answers import KINDS
from apflow.cli.output import compact
from apflow.cli.text import moment
from apflow.escaping import escaped
from apflow_hookspecs import Json, TaskStatus

MOST_LINES = 40
"""Lines of a prompt that are shown."""
_LONGEST = 400
"""Characters of a schema that are shown."""
_SAID_OTHERWISE = frozenset({"type", "title", "description", "$schema"})


@define(eq=False)
class Question:
    """What one task asks.

    Args:
        task_id: The task.
        tree_id: Its tree.
        label: How the task is called.
        wait: The JSON form of its wait.
        declined: Whether the person here has left it open.
    """

    task_id: str
    tree_id: str
    label: str
    wait: Mapping[str, Json]
    declined: bool = False

    @classmethod
    def of(cls, task: Mapping[str, Json], label: str) -> Self:
        """What a waiting task asks."""
        return cls(task["id"], task["tree_id"], label, task["wait"])

    def lines(self) -> Iterator[str]:
        """The prompt, what an answer has to be, and until when it may come."""
        first, *others = (self.wait["prompt"] or "").splitlines() or [""]
        yield f"{self.label} asks: {escaped(first)}".rstrip()
        yield from (f"  {escaped(line)}" for line in others[:MOST_LINES])
        if len(others) > MOST_LINES:
            yield f"  … and {len(others) - MOST_LINES:,} more lines"
        yield f"  {self.terms}"

    def advice(self) -> Iterator[str]:
        """What it asks, and the commands that answer it and go on."""
        yield f"{self.label} {asks(self.wait)} ({self.terms})"
        task_id, tree_id = escaped(self.task_id), escaped(self.tree_id)
        yield f"  `apflow tasks answer {task_id} VALUE` answers it, and `apflow resume {tree_id}` goes on"

    @property
    def terms(self) -> str:
        """What an answer has to be, and until when it may come."""
        until = self.wait["until"]
        return f"{wanted(self.wait['schema'])}{'' if until is None else f'; until {moment(until)}'}"


def waits_for_answer(task: Mapping[str, Json]) -> bool:
    """Whether a task asks something."""
    return bool(task["status"] == TaskStatus.WAITING and task["wait"]["kind"] == "input")


def asks(wait: Mapping[str, Json]) -> str:
    """What a wait for an answer asks, in one line, as the end of a sentence."""
    first, _, more = (wait.get("prompt") or "").partition("\n")
    return f"waits for an answer: {escaped(first)}{' …' if more else ''}"


def wanted(schema: Mapping[str, Any] | None) -> str:
    """What an answer has to be, in words."""
    if not schema:
        return "any text, or JSON"
    choices, kind = schema.get("enum"), schema.get("type")
    if isinstance(choices, list):
        return escaped(" or ".join(choice if isinstance(choice, str) else compact(choice) for choice in choices), _LONGEST)
    words = KINDS.get(kind, "JSON") if isinstance(kind, str) else "JSON"
    if kind in ("object", "array"):
        words = f"{words} in JSON"
    rules = {name: rule for name, rule in schema.items() if name not in _SAID_OTHERWISE}
    return f"{words} that fits {escaped(compact(rules), _LONGEST)}" if rules else words
