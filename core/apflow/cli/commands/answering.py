"""`apflow tasks answer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apflow.cli.output import print_json, print_lines
from apflow.cli.session import Session, shared_options
from apflow.escaping import escaped
from apflow_hookspecs import Caller, Json, TaskStatus
from apflow_hookspecs.errors import InvalidTransition, WrongAnswer

if TYPE_CHECKING:
    from apflow.cli.reaching import Operations


@click.command("answer")
@click.argument("task_id", metavar="ID")
@click.argument("value", metavar="[VALUE]", required=False)
@shared_options
@click.pass_obj
def answer(session: Session, task_id: str, value: str | None) -> None:
    """Answer what a task waits for; without VALUE it is asked on the terminal.

    Where text is wanted, VALUE is taken as it stands; "yes" and "no" answer a question of yes or no; all else is JSON, or else
    text.
    """
    if value is None:
        _ask(session, session.call("tasks.get", task_id=task_id))
    else:
        _hand_over(session, task_id, value)


def _hand_over(session: Session, task_id: str, value: str) -> None:
    async def work(engine: Operations) -> tuple[Json, Json]:
        from apflow.answers import typed  # noqa: PLC0415 - only where something was typed

        task = await engine.call("tasks.get", {"task_id": task_id}, Caller.local())
        schema = (task["wait"] or {}).get("schema")
        answered = await engine.call("tasks.answer", {"task_id": task_id, "answer": typed(value, schema)}, Caller.local())
        standings = await engine.call("tasks.running.status", {"task_ids": [task_id]}, Caller.local())
        return answered, standings["tasks"][0]

    task, standing = session.reach(work)
    if session.json:
        print_json(task)
        return
    click.echo(f"answered: {escaped(task['name'])} is {escaped(task['status'])}")
    if standing["status"] == TaskStatus.PENDING and not standing["running"]:
        click.echo(f"`apflow resume {escaped(task['tree_id'])}` goes on with it")


def _ask(session: Session, task: Json) -> None:
    from apflow.cli.asking import next_line  # noqa: PLC0415 - loads asyncio
    from apflow.cli.failures import told  # noqa: PLC0415 - only here
    from apflow.cli.keyboard import keyboard  # noqa: PLC0415 - loads asyncio
    from apflow.cli.questions import Question, waits_for_answer  # noqa: PLC0415 - only here

    if not waits_for_answer(task):
        raise InvalidTransition(f"task {task['key']!r} is {task['status']}, and does not wait for an answer")
    question = Question.of(task, escaped(task["name"]))
    terminal = None if session.json else keyboard()
    if terminal is None:
        how = f"apflow tasks answer {escaped(question.task_id)} VALUE"
        raise click.UsageError(f"There is no terminal to ask on; give the answer ({question.terms}): {how}")
    print_lines(question.lines())
    while (line := session.inspect(lambda _: next_line(terminal))) is not None:
        try:
            _hand_over(session, task["id"], line)
        except WrongAnswer as error:
            print_lines(told(error))
        else:
            return
