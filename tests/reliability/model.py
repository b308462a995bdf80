"""What should become of trees, as plain dicts: the model that the engine is compared with."""

from __future__ import annotations

from attrs import define, field

ENDS = ("completed", "failed", "cancelled", "skipped")


@define
class ModelTask:
    needs: dict[str, bool]
    in_group: bool
    fragile: bool
    status: str = "pending"
    recoveries: int = 0


@define
class ModelTree:
    tasks: dict[str, ModelTask]
    requested: bool = False
    going: bool = False
    """Whether there is an engine that runs it."""
    begun: set[str] = field(factory=set)
    """The groups under which something has started."""

    def running(self):
        return [id for id, task in self.tasks.items() if task.status == "in_progress"]

    def advance(self):
        """What follows, until nothing more does."""
        before = None
        while before != (before := [task.status for task in self.tasks.values()]):
            for task in self.tasks.values():
                if task.status == "pending":
                    self._advance_one(task)
        self.begun |= {group for group in self.groups() for id in self.under(group) if self.tasks[id].status == "in_progress"}

    def _advance_one(self, task):
        if not self.requested:
            return
        ends = {id: self.tasks[id].status for id in task.needs}
        if any(required and ends[id] in ENDS and ends[id] != "completed" for id, required in task.needs.items()):
            task.status = "skipped"
        elif self.going and all(end in ENDS for end in ends.values()):
            task.status = "in_progress"

    def settle(self, id, status):
        self.tasks[id].status = status
        self.advance()

    def cancel(self, id):
        for covered in self.under(id):
            if self.tasks[covered].status not in ENDS:
                self.tasks[covered].status = "cancelled"
        self.advance()

    def crash(self, max_recoveries):
        """A process is gone, and the next one has cleared up."""
        for task in self.tasks.values():
            if task.status == "in_progress" and (task.fragile or task.recoveries >= max_recoveries):
                task.status = "failed"
            elif task.status == "in_progress":
                task.status = "pending"
                task.recoveries += 1
        self.going = False
        self.advance()

    def close(self):
        """An engine was closed in good order."""
        for task in self.tasks.values():
            task.status = "pending" if task.status == "in_progress" else task.status
        self.going = False

    def go(self):
        """It is asked to run, or an engine goes on with it."""
        self.requested = self.going = True
        self.advance()

    def is_open(self):
        return any(task.status not in ENDS for task in self.tasks.values())

    def groups(self):
        root = next(iter(self.tasks)).partition(".")[0]
        return [root, f"{root}.group"] if any(task.in_group for task in self.tasks.values()) else [root]

    def under(self, id):
        """The working tasks that an id covers."""
        if id in self.tasks:
            return [id]
        return [each for each, task in self.tasks.items() if task.in_group or not id.endswith(".group")]

    def group_status(self, group):
        below = [self.tasks[id].status for id in self.under(group)]
        if all(status in ENDS for status in below):
            return next((end for end in ("failed", "cancelled", "skipped") if end in below), "completed")
        return "in_progress" if group in self.begun else "pending"

    def statuses(self):
        return {id: task.status for id, task in self.tasks.items()} | {id: self.group_status(id) for id in self.groups()}
