"""Trees for the kill harness: any number of them, each made from a seed and its number, the same in every process."""

from __future__ import annotations

from random import Random
from typing import Any

from attrs import frozen

from apflow.testing.journaling import JournalingExecutor
from apflow_hookspecs import CallNext, Policy, Retry, TaskContext, TaskFailed

RUNS_OF_TASKS = (1, 5)
LONGEST = 0.03
"""Seconds that a task takes at most."""


@frozen
class Submission:
    """What is asked for one tree.

    Args:
        tasks: The array.
        at_once: Whether its execution is requested with its creation, or afterwards.
        cancel: The task to cancel once the execution was requested.
        cancel_after: Seconds after which.
    """

    tasks: list[dict[str, Any]]
    at_once: bool = True
    cancel: str | None = None
    cancel_after: float = 0.0

    @property
    def tree_id(self) -> str:
        """The root's id."""
        return str(self.tasks[0]["id"])


def submission(seed: int, number: int) -> Submission:
    """The submission of a number: groups and tasks under each other, some of which depend on others, fail, or try again."""
    random = Random(f"{seed}:{number}")  # noqa: S311 - it has to be the same again
    tree_id = f"t{number}"
    tasks: list[dict[str, Any]] = [{"id": tree_id}]
    before: list[str] = []
    for place in range(random.randint(1, 3)):
        group = f"{tree_id}.g{place}"
        parent = tree_id
        if random.random() < 0.4:
            tasks.append({"id": group, "parent_id": tree_id})
            parent = group
        made = [_task(random, f"{tree_id}.{place}{letter}", parent) for letter in "abcde"[: random.randint(*RUNS_OF_TASKS)]]
        for task in made:
            task["dependencies"] = _dependencies(random, before)
            before.append(task["id"])
        tasks += made
        if parent == group:
            before.append(group)
    cancel = random.choice(tasks)["id"] if random.random() < 0.15 else None
    return Submission(tasks, random.random() < 0.6, cancel, random.uniform(0, 2 * LONGEST))


def _task(random: Random, task_id: str, parent: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {"seconds": random.uniform(0, LONGEST)}
    fields: dict[str, Any] = {"id": task_id, "parent_id": parent, "executor": JournalingExecutor.id, "inputs": inputs}
    fate = random.random()
    if fate < 0.06:
        inputs["failures"] = 99
    elif fate < 0.18:
        inputs["failures"] = random.randint(1, 2)
        fields["policies"] = {AGAIN.name: {}}
    elif fate < 0.22:
        fields["on_crash"] = "fail"
    return {**fields, "priority": random.randint(0, 3)}


def _dependencies(random: Random, before: list[str]) -> list[dict[str, Any]]:
    chosen = random.sample(before, min(len(before), random.choice((0, 1, 1, 2))))
    return [{"id": other, "required": random.random() < 0.8} for other in chosen]


async def _around(call_next: CallNext, context: TaskContext, options: Any) -> Any:  # noqa: ARG001 - it has none
    try:
        return await call_next()
    except TaskFailed as error:
        if context.attempt > 2:
            raise
        raise Retry(after=0.005) from error


AGAIN = Policy("again", _around, order=200, summary="Up to three attempts, one right after the other")


def ten_tasks() -> Submission:
    """One tree of ten working tasks: a chain, two that run side by side, one in a group, one that tries again."""
    chain = [_plain(f"ten.{n}", *([f"ten.{n - 1}"] if n else [])) for n in range(6)]
    again = {**_plain("ten.6", "ten.2"), "policies": {AGAIN.name: {}}}
    again["inputs"] = {"failures": 1}
    grouped = {**_plain("ten.7", "ten.4"), "parent_id": "ten.group"}
    tasks = [{"id": "ten"}, *chain, again, {"id": "ten.group", "parent_id": "ten"}, grouped]
    return Submission([*tasks, _plain("ten.8", "ten.group", "ten.6"), _plain("ten.9", "ten.8")], at_once=False)


def _plain(task_id: str, *needed: str) -> dict[str, Any]:
    return {"id": task_id, "parent_id": "ten", "executor": JournalingExecutor.id, "dependencies": list(needed)}
