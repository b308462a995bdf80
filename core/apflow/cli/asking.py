"""Asking a person what tasks wait for, while their trees run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click
from attrs import define, field

from apflow.answers import typed
from apflow.cli.failures import told
from apflow.cli.following import labels
from apflow.cli.keyboard import Keyboard, Withdrawn
from apflow.cli.output import print_lines
from apflow.cli.questions import Question
from apflow_hookspecs import Caller, Event, Json, TaskStatus
from apflow_hookspecs.errors import InvalidTransition, NotFound, WrongAnswer

if TYPE_CHECKING:
    from apflow.cli.reaching import Operations

MOMENT = 0.05
"""Seconds for which nothing may happen before it is looked whether anything is left to happen."""
_SAY_NOTHING = frozenset({"task_progress", "task_updated", "cancel_requested"})
"""Events that do not tell where a task stands from then on."""


@define
class Asker:
    """Knows what the tasks of the trees that are followed ask, and asks it, one question after the other.

    Args:
        keyboard: Of whoever is to answer; None where nobody can.
        paused: While it lasts, nothing else is shown.
    """

    keyboard: Keyboard | None
    paused: Callable[[], AbstractContextManager[object]]
    _labels: dict[str, str] = field(factory=dict, init=False)
    """Of the tasks that can ask: those that are not groups."""
    _questions: dict[str, Question] = field(factory=dict, init=False)
    _busy: set[str] = field(factory=set, init=False)
    """The tasks that run, or wait for an instant."""
    _asked: Question | None = field(default=None, init=False)
    _cut_short: bool = field(default=False, init=False)
    """Whether a question was withdrawn while somebody may have been typing an answer to it."""
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)

    def follow(self, tree: Mapping[str, Json], before: str = "") -> None:
        """Take in a tree as it stands.

        Args:
            tree: With its tasks in an array.
            before: What stands before the names of its tasks.
        """
        names = labels(tree["tasks"])
        for task in tree["tasks"]:
            if task["executor"] is not None:
                self._labels[task["id"]] = f"{before}{names[task['id']]}"
                self._stands(task["id"], tree["id"], task["status"], task["wait"])

    def note(self, event: Event) -> None:
        """Take in what happened."""
        if event.task_id in self._labels and event.type not in _SAY_NOTHING:
            self._stands(event.task_id, event.tree_id, event.status, (event.data or {}).get("wait"))

    def look(self) -> None:
        """Look again whether anything is left to happen."""
        self._news.set()

    def _stands(self, task_id: str, tree_id: str, status: str, wait: Mapping[str, Json] | None) -> None:
        self._busy.discard(task_id)
        question = self._questions.pop(task_id, None)
        if question is not None and question is self._asked and self.keyboard is not None:
            self.keyboard.withdraw()
        if status == TaskStatus.WAITING and wait is not None and wait["kind"] == "input":
            self._questions[task_id] = Question(task_id, tree_id, self._labels[task_id], wait)
        elif status in (TaskStatus.IN_PROGRESS, TaskStatus.WAITING):
            self._busy.add(task_id)
        self._news.set()

    async def ask(self, engine: Operations, resting: Callable[[], Awaitable[bool]]) -> None:
        """Ask whatever is to be asked, until nothing is left but what nobody here answers.

        Args:
            engine: Takes the answers.
            resting: Whether nothing else is left indeed; asked only when it seems so.
        """
        while True:
            if self.keyboard is not None and self._next() is not None:
                with self.paused():
                    while (question := self._next()) is not None:
                        await self._put(engine, question, self.keyboard)
            self._news.clear()
            if self._questions and not self._busy:
                await asyncio.sleep(MOMENT)
                if not self._news.is_set() and await resting():
                    return
            await self._news.wait()

    def _next(self) -> Question | None:
        return next((question for question in self._questions.values() if not question.declined), None)

    async def _put(self, engine: Operations, question: Question, keyboard: Keyboard) -> None:
        keyboard.forget()
        self._asked = question
        try:
            if self._cut_short:  # whoever was typing goes on typing
                click.echo("Enter shows the next question: ", nl=False)
                await keyboard.line()
                self._cut_short = False
            print_lines(question.lines())
            await self._answered(engine, question, keyboard)
        except Withdrawn:
            self._cut_short = True
            click.echo("\nit is not asked any more")
        finally:
            self._asked = None

    async def _answered(self, engine: Operations, question: Question, keyboard: Keyboard) -> None:
        while self._questions.get(question.task_id) is question:
            line = await next_line(keyboard)
            if line is None:
                question.declined = True
            elif await self._taken(engine, question, line):
                self._questions.pop(question.task_id, None)
            else:
                continue
            return

    @staticmethod
    async def _taken(engine: Operations, question: Question, line: str) -> bool:
        """Hand over an answer; False where it is wrong, and the question stands."""
        answer = {"task_id": question.task_id, "answer": typed(line, question.wait["schema"])}
        try:
            await engine.call("tasks.answer", answer, Caller.local())
        except WrongAnswer as error:
            print_lines(told(error))
            return False
        except (InvalidTransition, NotFound) as error:
            print_lines(told(error))
        return True


async def next_line(keyboard: Keyboard) -> str | None:
    """The next line that says something; None at Ctrl-D. Errors as of `Keyboard.line`."""
    while True:
        click.echo("answer (Ctrl-D leaves it open): ", nl=False)
        line = await keyboard.line()
        if line is None:
            click.echo("\nleft open")
            return None
        if line.strip():
            return line.strip()
