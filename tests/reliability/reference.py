"""A small engine, one task at a time, with a switch for each of its bugs: what the checker is tried on."""

from __future__ import annotations

from itertools import count

import msgspec.json
from attrs import define, field

from apflow.testing.journaling import Acknowledged, Entry
from apflow.tree import build
from apflow_hookspecs import Batch, Change, Storage, TaskTree

TOKEN = "reference"  # noqa: S105 - of a tree's owner
ENDS = ("completed", "failed", "cancelled", "skipped")


class Crash(Exception):
    pass


@define(eq=False, slots=False)
class ReferenceEngine:
    storage: Storage
    bugs: frozenset[str] = frozenset()
    crash_at: int | None = None
    """Number of the executor's start at which the process ends."""
    entries: list[Entry] = field(factory=list)
    notes: list[Acknowledged] = field(factory=list)
    status: dict[int, str] = field(factory=dict)
    results: dict[int, str] = field(factory=dict)
    attempts: dict[int, int] = field(factory=dict)
    recoveries: dict[int, int] = field(factory=dict)
    seq: int = 0
    clock: count = field(factory=lambda: count(1_000_000, 10))
    starts: int = 0

    async def create(self, tasks):
        draft = build(tasks, now=next(self.clock), user_id=None, origin="local", fresh_ids=False, max_depth=64)
        self.tree, self.plan = draft.tree, draft.plan
        self.tasks = list(self.tree)
        self.tree.token = TOKEN
        stored = self.tree
        if "half a tree" in self.bugs:
            self.tasks.pop()
            stored = TaskTree(id=self.tree.id, tasks={task.key: task for task in self.tasks}, token=TOKEN)
        change = self.change()
        self.event(change, "tree_created", None, "pending", data={"tasks": len(self.tree)})
        if "a lost tree" not in self.bugs:
            assert await self.storage.commit(Batch(trees=[stored], changes={stored.id: change}))
        self.note("created", self.tree.id)
        self.status = {task.n: "pending" for task in self.tasks}

    async def request(self):
        change = self.change()
        change.tree.update(status="in_progress", status_at=next(self.clock), run=1, requested_at=next(self.clock))
        self.event(change, "tree_started", None, "in_progress")
        await self.commit(change)
        self.note("requested", self.tree.id)

    async def cancel(self, n):
        change = self.change()
        self.event(change, "cancel_requested", n, self.status[n])
        if "a cancellation that is forgotten" not in self.bugs:
            for each in self.under(n):
                if self.status[each] == "pending" and self.working(each):
                    self.end(change, each, "cancelled")
        await self.commit(change)
        self.note("cancelled", self.tasks[n].id)

    async def run(self):
        while (ready := self.ready()) is not None:
            await self.work(ready)
            await self.settle_the_rest()
        await self.settle_the_rest()

    async def recover(self):
        """In the place of an engine that crashed."""
        change = self.change()
        for n, status in self.status.items():
            if status == "in_progress" and self.working(n) and "a task that is left behind" not in self.bugs:
                attempt = self.attempts[n]
                change.attempts.append((n, attempt, 1, 0, next(self.clock), "recovered", None, None, None))
                if "a crash that is an attempt" in self.bugs:
                    self.attempts[n] += 1
                elif "a crash that is not counted" not in self.bugs:
                    self.recoveries[n] = self.recoveries.get(n, 0) + 1
                self.move(change, n, "pending", "task_recovered")
        await self.commit(change)

    async def work(self, n):
        if "no claim" not in self.bugs:
            await self.claim(n)
        result = self.execute(n)
        if "no claim" in self.bugs:
            await self.claim(n)
        change = self.change()
        if result is None:
            self.end(change, n, "failed")
        else:
            self.results[n] = result
            self.end(change, n, "completed")
        if "an end without an event" in self.bugs and n == 2:
            change.events.pop()
            self.seq -= 1
        await self.commit(change)
        if "two ends" in self.bugs and n == 2:
            change = self.change()
            self.end(change, n, "failed")
            await self.commit(change)
        if "completed tasks run again" in self.bugs and n == 2:
            self.execute(n)

    async def claim(self, n):
        change = self.change()
        self.attempts.setdefault(n, 1)
        for group in self.above(n):
            if self.status[group] == "pending" and not self.working(group):
                self.move(change, group, "in_progress", "task_started")
        at = next(self.clock)
        change.claims.append((n, self.attempts[n], at))
        self.status[n] = "in_progress"
        self.event(change, "task_started", n, "in_progress", attempt=self.attempts[n])
        await self.commit(change)

    def execute(self, n):
        saw = {self.tasks[m].key: self.results.get(m) for m in self.plan.dependencies[n]}
        if "results of another" in self.bugs:
            saw = dict.fromkeys(saw, "something")
        self.write("start", n, saw=saw)
        self.starts += 1
        if self.starts == self.crash_at:
            raise Crash
        if self.tasks[n].inputs.get("failures"):
            self.write("failure", n)
            return None
        result = f"{self.tasks[n].key} {self.starts}"
        self.write("end", n, result=result)
        return result

    async def settle_the_rest(self):
        change = self.change()
        for n in range(len(self.tasks)):
            if self.status[n] == "pending" and self.working(n) and self.is_hopeless(n):
                self.end(change, n, "skipped")
        for n in reversed(range(len(self.tasks))):
            below = [self.status[m] for m in self.under(n)[1:] if self.working(m)]
            if self.status[n] not in ENDS and not self.working(n) and all(status in ENDS for status in below):
                self.end(change, n, self.worst(below))
        await self.commit(change)
        await self.settle_the_tree()

    async def settle_the_tree(self):
        open_tasks = [n for n, status in self.status.items() if status not in ENDS]
        early = "an early end of the tree" in self.bugs and len(open_tasks) == 2
        if (open_tasks and not early) or self.tree.status in ENDS:
            return
        self.tree.status = self.worst(self.status.values()).replace("skipped", "failed")
        change = self.change()
        change.tree.update(status=self.tree.status, status_at=next(self.clock))
        for _ in range(2 if "two ends of the tree" in self.bugs else 1):
            self.event(change, "tree_settled", None, self.tree.status)
        await self.commit(change)

    # What it knows

    def ready(self):
        early = "dependents before their dependencies" in self.bugs
        for n, status in sorted(self.status.items(), reverse=early):
            if status == "pending" and self.working(n) and self.may_start(n):
                return n
        return None

    def may_start(self, n):
        for m, required in self.plan.dependencies[n].items():
            if "dependents before their dependencies" in self.bugs:
                continue
            if self.status[m] not in ENDS:
                return False
            if required and self.status[m] != "completed" and "dependents of failed tasks" not in self.bugs:
                return False
        return True

    def is_hopeless(self, n):
        if "dependents of failed tasks" in self.bugs:
            return False
        needs = self.plan.dependencies[n].items()
        if "a skip without a cause" in self.bugs and n == 2:
            return all(self.status[m] in ENDS for m, _ in needs)
        return any(required and self.status[m] in ENDS and self.status[m] != "completed" for m, required in needs)

    def working(self, n):
        return not self.tasks[n].is_group

    def under(self, n):
        found = [n]
        for m in found:
            found += [child for child in self.plan.children[m] if child in self.status]
        return found

    def above(self, n):
        while (n := self.plan.parents[n]) >= 0:
            yield n

    @staticmethod
    def worst(statuses):
        return next((end for end in ("failed", "cancelled", "skipped") if end in statuses), "completed")

    # What it writes

    def change(self):
        return Change(TOKEN, 1)

    def event(self, change, type_, n, status, *, attempt=0, data=None):
        self.seq += 2 if "a gap" in self.bugs and type_ == "tree_settled" else 1
        change.events.append((self.seq, type_, n, status, next(self.clock), attempt, None, data))

    def end(self, change, n, status):
        if status == "completed" and self.working(n) and self.status[n] == "in_progress":
            result = None if "a lost result" in self.bugs else self.results[n]
            change.completions.append((n, next(self.clock), msgspec.json.encode(result)))
            self.status[n] = status
            self.event(change, "task_settled", n, status, attempt=self.attempts[n])
        else:
            self.move(change, n, status, "task_settled")

    def move(self, change, n, status, type_):
        faulty = self.working(n) and status in ("failed", "cancelled", "skipped")
        error = msgspec.json.encode({"code": status, "message": "", "details": None}) if faulty else None
        counts = (self.attempts.get(n, 0), self.recoveries.get(n, 0))
        change.moves.append((n, self.status[n], status, next(self.clock), *counts, None, error, None))
        self.status[n] = status
        self.event(change, type_, n, status, attempt=self.attempts.get(n, 0))

    async def commit(self, change):
        written = change.events or change.moves or change.claims
        if written and "a lost tree" not in self.bugs:
            assert await self.storage.commit(Batch(changes={self.tree.id: change}))

    def write(self, mark, n, **more):
        task = self.tasks[n]
        attempt = self.attempts.get(n, 1)
        at = next(self.clock)
        self.entries.append(Entry(at=at, mark=mark, pid=1, task_id=task.id, key=task.key, run=1, attempt=attempt, **more))

    def note(self, note, task_id):
        at = next(self.clock)
        self.notes.append(Acknowledged(at=at, note=note, tree_id=self.tree.id, task_id=task_id, tasks=len(self.tree)))
