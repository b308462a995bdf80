"""Judges what an engine left behind: nothing acknowledged is lost, nothing runs twice that completed, each has one end.

    evidence = await gather(storage, entries.read(), acknowledged.read())
    assert violations(evidence) == []

It stands on the stored events and rows and on what the executors themselves wrote down, and knows nothing of how an engine
works. Each rule is a function of one tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from attrs import frozen

from apflow.testing.evidence import Evidence, StoredTree
from apflow.testing.journaling import Acknowledged, Entry
from apflow.testing.replay import ENDS, Replay
from apflow_hookspecs import Task


@frozen
class Violation:
    """One thing that must not be.

    Args:
        rule: Which rule of this module found it.
        tree_id: Empty where it is not about one tree.
    """

    rule: str
    tree_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.tree_id}: {self.text}"


@frozen
class Case:
    """A tree under judgement.

    Args:
        acknowledged: What was acknowledged of it.
        over: Whether all that was requested should have ended.
    """

    stored: StoredTree
    replay: Replay
    acknowledged: list[Acknowledged]
    over: bool

    @property
    def tasks(self) -> list[Task]:
        """All of them, in the order of creation."""
        return list(self.stored.tree)

    @property
    def working(self) -> list[Task]:
        """Those that are no groups."""
        return [task for task in self.stored.tree if not task.is_group]

    def entries(self, task: Task, *marks: str) -> list[Entry]:
        """What the executor of a task wrote down in its latest run."""
        return [e for e in self.stored.entries if (e.task_id, e.run) == (task.id, task.run) and e.mark in marks]


Rule = Callable[[Case], Iterator[str]]


def violations(evidence: Evidence, *, over: bool = True) -> list[Violation]:
    """Everything that must not be.

    Args:
        evidence: As `gather` collects it.
        over: Whether all that was requested should have ended; not while some of it waits or no process is there to run it.
    """
    found = [Violation("the storage is whole", "", text) for text in evidence.findings]
    found += [Violation("what runs is stored", "", f"{entry.task_id!r} ran, and is not stored") for entry in evidence.strays]
    of_tree: dict[str, list[Acknowledged]] = {}
    for note in evidence.acknowledged:
        of_tree.setdefault(note.tree_id, []).append(note)
    found += [
        Violation("what is acknowledged is kept", id, "was acknowledged, and is not stored")
        for id in of_tree.keys() - evidence.trees
    ]
    for tree_id, stored in evidence.trees.items():
        case = Case(stored, Replay(stored), of_tree.get(tree_id, []), over)
        for name, rule in RULES.items():
            found += [Violation(name, tree_id, text) for text in rule(case)]
    return found


def kept(case: Case) -> Iterator[str]:
    """What was acknowledged shows: the whole tree, its execution, its cancellation."""
    tree = case.stored.tree
    for note in case.acknowledged:
        if note.tasks != len(tree):
            yield f"was acknowledged with {note.tasks} tasks, and has {len(tree)}"
        if note.note == "requested" and tree.requested_at is None:
            yield "its execution was acknowledged, and shows nowhere"
        if note.note == "cancelled":
            covered = {task.id for task in case.stored.under(tree[note.task_id])}
            late = [e for e in case.stored.entries if e.mark == "start" and e.task_id in covered and e.at > note.at]
            yield from (f"{entry.key!r} started after its cancellation was acknowledged" for entry in late)


def whole(case: Case) -> Iterator[str]:
    """A tree is stored with all its tasks or not at all."""
    first = case.stored.events[0] if case.stored.events else None
    if first is None or first.type != "tree_created":
        yield "its first event is not its creation"
    elif (first.data or {}).get("tasks") != len(case.tasks):
        yield f"was created with {(first.data or {}).get('tasks')} tasks, and has {len(case.tasks)}"


def gapless(case: Case) -> Iterator[str]:
    """Event numbers count from 1, and the tree knows the last."""
    numbers = [event.seq for event in case.stored.events]
    if numbers != list(range(1, len(numbers) + 1)):
        missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
        yield f"its events are not numbered from 1 to {len(numbers)}; missing: {missing}"
    if case.stored.tree.last_event != len(numbers):
        yield f"its last event is said to be {case.stored.tree.last_event}, and it has {len(numbers)}"


def lawful(case: Case) -> Iterator[str]:
    """Each event takes its task from where it stood, no start comes too early, and the rows say what the events say."""
    yield from case.replay.faults
    for task in case.tasks:
        track = case.replay.tracks[task.id]
        if track.status != task.status:
            yield f"{task.key!r} is {task.status}, and by its events {track.status}"


def one_end(case: Case) -> Iterator[str]:
    """In each run a task ends at most once, and so does the tree, after all of its tasks."""
    for task in case.tasks:
        for run, times in Counter(event.run for event in case.replay.tracks[task.id].ends).items():
            if times > 1:
                yield f"{task.key!r} ended {times} times in run {run}"
    ends = [event for event in case.stored.events if event.type == "tree_settled"]
    for run, times in Counter(event.run for event in ends).items():
        if times > 1:
            yield f"the tree ended {times} times in run {run}"
    for end in ends:
        after = [e for e in case.stored.events if e.run == end.run and e.seq > end.seq and e.type.startswith("task_")]
        yield from (f"event {event.seq}, {event.type}, comes after the end of run {end.run}" for event in after)
    tree = case.stored.tree
    if (tree.status in ENDS) != (tree.run in {end.run for end in ends if end.status in ENDS}):
        yield f"the tree is {tree.status}, and its events tell of {len(ends)} ends"


def lasting(case: Case) -> Iterator[str]:
    """What completed never runs again, and its result is the one that its executor returned."""
    for task in case.working:
        if task.status != "completed":
            continue
        ends = {entry.result: entry for entry in case.entries(task, "end")}
        if case.stored.entries and task.result not in ends:
            yield f"{task.key!r} completed with {task.result!r}, and its executor returned {list(ends) or 'nothing'}"
        late = [e for e in case.entries(task, "start") if task.completed_at is not None and e.at > task.completed_at]
        yield from (f"{task.key!r} ran again, in process {entry.pid}, after it had completed" for entry in late)


def claimed(case: Case) -> Iterator[str]:
    """Nothing runs without a stored claim."""
    for task in case.working:
        claims = Counter((event.run, event.attempt) for event in case.replay.tracks[task.id].starts)
        runs = Counter((e.run, e.attempt) for e in case.stored.entries if e.task_id == task.id and e.mark == "start")
        for (run, attempt), times in runs.items():
            if times > claims[run, attempt]:
                claimed_times = claims[run, attempt]
                yield f"{task.key!r} ran {times} times in attempt {attempt} of run {run}, and was claimed {claimed_times} times"


def ordered(case: Case) -> Iterator[str]:
    """An executor starts after those that it requires have returned, and is handed what they returned."""
    for task in case.working:
        for start in case.entries(task, "start"):
            before = {(e.task_id, e.result) for e in case.stored.entries[: case.stored.entries.index(start)] if e.mark == "end"}
            for other_id, required in case.stored.needs[task.id].items():
                other = case.stored.tree[other_id]
                if other.is_group or other.run != task.run or (other.status != "completed" and not required):
                    continue
                if other.status != "completed":
                    yield f"{task.key!r} ran, and {other.key!r}, which it requires, is {other.status}"
                elif (other_id, other.result) not in before:
                    yield f"{task.key!r} ran before {other.key!r} had returned what is stored"
                elif (handed := start.saw.get(other.key)) != other.result:
                    yield f"{task.key!r} was handed {handed!r} of {other.key!r}, and stored is {other.result!r}"


def counted(case: Case) -> Iterator[str]:
    """A crash is a recovery, never an attempt; each of both is in the history."""
    for task in case.working:
        track = case.replay.tracks[task.id]
        if not track.starts or task.run != track.run:
            continue
        history = Counter(a.outcome for a in case.stored.attempts if a.task_id == task.id and a.run == task.run)
        if task.attempt != track.attempt:
            yield f"{task.key!r} is in attempt {task.attempt}, and by its events in attempt {track.attempt}"
        if task.recoveries != track.recoveries or history["recovered"] != track.recoveries:
            told = f"{task.recoveries} recoveries, {history['recovered']} of them in its history"
            yield f"{task.key!r} has {told}, and by its events {track.recoveries}"
        if history["retried"] < task.attempt - 1:
            yield f"{task.key!r} is in attempt {task.attempt}, and its history has {history['retried']} that failed"


def fulfilled(case: Case) -> Iterator[str]:
    """The ends go together: with those of the dependencies, of the groups and of the tree; each is complete."""
    tree = case.stored.tree
    for task in case.tasks:
        required = [tree[other] for other, required in case.stored.needs[task.id].items() if required]
        unmet = [other for other in required if other.status != "completed"]
        if task.status == "completed" and unmet:
            yield f"{task.key!r} completed, and {unmet[0].key!r}, which it requires, is {unmet[0].status}"
        if task.status == "skipped" and not unmet and not task.is_group:
            yield f"{task.key!r} was skipped, and all that it requires completed"
        if task.is_group and task.status in ENDS and (end := _worst(case.stored.under(task)[1:])) != task.status:
            yield f"the group {task.key!r} is {task.status}, and what is under it makes it {end}"
        if task.status in ENDS and (
            task.completed_at is None or (task.error is None) != (task.status == "completed" or task.is_group)
        ):
            yield f"{task.key!r} is {task.status}, at {task.completed_at}, with the error {task.error}"
    if tree.status in ENDS and tree.status != (end := _worst(case.tasks).replace("skipped", "failed")):
        yield f"the tree is {tree.status}, and its tasks make it {end}"


def over(case: Case) -> Iterator[str]:
    """Nothing is left behind."""
    tree = case.stored.tree
    if not case.over or tree.requested_at is None:
        return
    if tree.status not in ENDS:
        yield f"its execution was requested, and it is {tree.status}"
    yield from (f"{task.key!r} is {task.status} for ever" for task in case.tasks if task.status not in ENDS)


def _worst(tasks: list[Task]) -> str:
    statuses = {str(task.status) for task in tasks if not task.is_group}
    return next((end for end in ("failed", "cancelled", "skipped") if end in statuses), "completed")


RULES: dict[str, Rule] = {
    "what is acknowledged is kept": kept,
    "trees are whole": whole,
    "events have no gap": gapless,
    "events tell what happened": lawful,
    "each ends once": one_end,
    "what completed lasts": lasting,
    "claims come first": claimed,
    "dependencies come first": ordered,
    "a crash is no attempt": counted,
    "ends go together": fulfilled,
    "nothing is left behind": over,
}
