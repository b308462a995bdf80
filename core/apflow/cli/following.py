"""What a run shows while it goes on, in plain lines: one per event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Protocol, Self

from attrs import define, field

from apflow.cli.questions import asks
from apflow.cli.text import clock, moment
from apflow.escaping import escaped
from apflow_hookspecs import Event, Json, TaskStatus


class Follower(Protocol):
    """Shows the events of one tree, as a context."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None: ...

    def show(self, event: Event) -> None:
        """Show what happened."""
        ...

    def paused(self) -> AbstractContextManager[object]:
        """While it lasts, nothing is shown; what happens meanwhile is shown then."""
        ...


def labels(tasks: Sequence[Mapping[str, Json]]) -> dict[str, str]:
    """How each task is called in what a run shows, by id: its name, with its key where another task has the same name."""
    names = Counter(task["name"] for task in tasks)
    return {
        task["id"]: escaped(task["name"] if names[task["name"]] == 1 else f"{task['name']} ({task['key']})") for task in tasks
    }


@define
class Lines:
    """A line for every event.

    Args:
        labels: The tasks' names, by id.
        echo: Prints one line.
        before: What stands before each subject, where several trees are shown.
    """

    labels: Mapping[str, str]
    echo: Callable[[str], None]
    before: str = ""
    _held: list[str] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None: ...

    def show(self, event: Event) -> None:
        """Print the event's line."""
        line = f"{clock(event.at)} {self.before}{self._subject(event)} {told(event)}".rstrip()
        if self._held is None:
            self.echo(line)
        else:
            self._held.append(line)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the lines back while it lasts."""
        held = self._held = []
        try:
            yield
        finally:
            self._held = None
            for line in held:
                self.echo(line)

    def _subject(self, event: Event) -> str:
        return "tree" if event.task_id is None else self.labels.get(event.task_id) or escaped(event.task_id)


class Silent:
    """Nothing, for machines that wait for the result."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None: ...

    def show(self, event: Event) -> None:
        """Say nothing."""

    def paused(self) -> AbstractContextManager[object]:
        """There is nothing to keep back."""
        return nullcontext()


def told(event: Event) -> str:
    """What an event says about its task or tree, as the end of a sentence."""
    data = event.data or {}
    match event.type:
        case "task_started":
            return "started" if event.attempt <= 1 else f"started, attempt {event.attempt}"
        case "task_progress":
            return f"{data.get('progress', 0):.0%} {escaped(data.get('message') or '')}".rstrip()
        case "task_waiting":
            return waits(data.get("wait") or {}, data.get("error"), event.attempt, seen=event.at)
        case "task_settled" | "tree_settled":
            return ended(event.status, data.get("error"))
        case _:
            return _PLAIN.get(event.type, escaped(event.type))


_PLAIN = {
    "tree_created": "created",
    "tree_started": "started",
    "tree_archived": "archived",
    "task_answered": "answered",
    "task_resumed": "goes on",
    "task_recovered": "starts again: its process was gone",
    "task_reset": "will run again",
    "task_updated": "changed",
    "cancel_requested": "is to be cancelled",
}


def waits(
    wait: Mapping[str, Json], error: Mapping[str, Json] | None = None, attempt: int = 0, *, seen: int | None = None
) -> str:
    """What a task waits for: `failed: no route to host (attempt 1); tried again at 12:00:05`.

    Args:
        wait: In its JSON form.
        error: Of the attempt after which it waits for the next.
        attempt: The number of that.
        seen: Instant at which this is read; of what comes on the same day, the time of day will do.
    """
    until = moment(wait.get("until")).removeprefix(f"{moment(seen)[:10]} ")
    match wait.get("kind"):
        case "input":
            return asks(wait)
        case "retry":
            return f"{ended(TaskStatus.FAILED, error, attempt)}; tried again{f' at {until}' if until else ''}"
        case _:
            policy = wait.get("policy")
            return f"waits until {until}" if policy is None else f"waits for policy {escaped(policy)} until {until}"


def ended(status: str, error: Mapping[str, Json] | None, attempt: int = 0) -> str:
    """A status, and the error that goes with it: `failed: no route to host (timeout)`."""
    code = error.get("code") if error else None
    said = escaped(status)
    if error and code != "cancelled":
        said = f"{said}: {escaped(error.get('message') or '')}"
    notes = [] if code in _PLAIN_CODES else [escaped(code)]
    if attempt:
        notes.append(f"attempt {attempt}")
    return f"{said} ({', '.join(notes)})" if notes else said


_PLAIN_CODES = {"failed", "dependency_failed", "cancelled", None}
"""What a message says without its code."""


def standing(task: Mapping[str, Json]) -> str:
    """How a task stands: what it waits for, or its status with its error."""
    if task["status"] == TaskStatus.WAITING:
        return waits(task["wait"], task["error"], task["attempt"])
    return ended(task["status"], task["error"])
