"""What a run shows on a terminal: the tree, redrawn while it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import Self

from attrs import define
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from apflow.cli.following import ended, labels, told
from apflow.cli.tables import nested, outline
from apflow.cli.text import duration
from apflow.escaping import escaped
from apflow_hookspecs import SETTLED, Event, Json, TaskStatus

BAR = 24
"""Columns of the bar of the whole tree."""
_SMALL_BAR = 8
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_A_SECOND = 10
_AROUND = 3
"""Rows of the screen that the tree leaves free."""

_LOOKS = {
    TaskStatus.PENDING: ("·", "dim"),
    TaskStatus.IN_PROGRESS: ("", "cyan"),
    TaskStatus.WAITING: ("◦", "yellow"),
    TaskStatus.COMPLETED: ("✓", "green"),
    TaskStatus.FAILED: ("✗", "bold red"),
    TaskStatus.CANCELLED: ("⊘", "yellow"),
    TaskStatus.SKIPPED: ("-", "dim"),
}


@define
class _Node:
    """A task as it is drawn."""

    branch: str
    label: str
    group: bool
    status: TaskStatus
    progress: float = 0.0
    started: float | None = None
    ended: float | None = None
    said: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it has run, or ran."""
        return None if self.started is None else (self.ended or monotonic()) - self.started


class LiveTree:
    """A tree with the state, time and progress of each task, and a bar for the whole.

    Args:
        tree: `{"id", "status", "tasks": […]}`, as it stands before its run.
        console: The terminal.
    """

    def __init__(self, tree: Mapping[str, Json], console: Console | None = None) -> None:
        names = labels(tree["tasks"])
        self._nodes = {
            task["id"]: _Node(branch, names[task["id"]], task["executor"] is None, TaskStatus(task["status"]), task["progress"])
            for branch, task in outline(nested(tree["tasks"]))
        }
        self._began = monotonic()
        self._console = console or Console(highlight=False)
        self._live = self._drawing()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the last frame where it is, and draw the next below what is printed meanwhile."""
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._drawing()
            self._live.start()

    def _drawing(self) -> Live:
        return Live(self, console=self._console, refresh_per_second=_FRAMES_A_SECOND)

    def show(self, event: Event) -> None:
        """Take in what happened; the next frame shows it."""
        node = self._nodes.get(event.task_id or "")
        if node is None:
            return
        node.status, data = TaskStatus(event.status), event.data or {}
        match event.type:
            case "task_started":
                node.started, node.ended, node.said = monotonic(), None, ""
                node.progress = 0.0
            case "task_progress":
                node.progress, node.said = data.get("progress", node.progress), escaped(data.get("message") or "", 60)
            case "task_waiting":
                node.said = told(event)
            case "task_settled":
                node.ended = monotonic()
                node.said = "" if node.status == TaskStatus.COMPLETED else ended(event.status, data.get("error"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines(max(1, console.height - _AROUND)):
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line
        yield self._whole()

    def _lines(self, rows: int) -> Iterator[Text]:
        nodes = list(self._nodes.values())
        if len(nodes) > rows:
            nodes = sorted(nodes, key=lambda node: _INTEREST[node.status])[: rows - 1]
            shown = {id(node) for node in nodes}
            nodes = [node for node in self._nodes.values() if id(node) in shown]
        yield from map(_line, nodes)
        if len(nodes) < len(self._nodes):
            yield Text(f"… and {len(self._nodes) - len(nodes):,} more", "dim")

    def _whole(self) -> Text:
        nodes = list(self._nodes.values())
        settled = sum(node.status in SETTLED for node in nodes)
        failed = sum(node.status == TaskStatus.FAILED and not node.group for node in nodes)
        line = bar(settled / len(nodes), BAR)
        line.append(f" {settled:,}/{len(nodes):,}")
        if failed:
            line.append(f"  {failed:,} failed", "bold red")
        return line.append(f"  {duration(monotonic() - self._began)}", "dim")


_INTEREST = {
    status: place
    for place, status in enumerate(("in_progress", "failed", "waiting", "cancelled", "skipped", "pending", "completed"))
}


def _line(node: _Node) -> Text:
    sign, style = _LOOKS[node.status]
    line = Text(node.branch, "dim").append(node.label, "default not dim")
    line.append(f"  {sign or _spinning()}", f"not dim {style}")
    if node.status == TaskStatus.IN_PROGRESS and node.progress and not node.group:
        line.append("  ").append_text(bar(node.progress, _SMALL_BAR)).append(f" {node.progress:.0%}")
    if node.seconds is not None:
        line.append(f"  {duration(node.seconds)}", "dim")
    return line.append(f"  {node.said}", f"not dim {style}") if node.said else line


def _spinning() -> str:
    return _FRAMES[int(monotonic() * _FRAMES_A_SECOND) % len(_FRAMES)]


def bar(part: float, width: int) -> Text:
    """A bar of `width` columns, filled by a part of 0 to 1."""
    filled = round(part * width)
    return Text("━" * filled, "green").append("━" * (width - filled), "bright_black")
