"""The schedule against a model that looks at everything again after each event, and takes nothing over from the schedule."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apflow.schedule import CANCELLED, COMPLETED, FAILED, SKIPPED, STATUSES, Course, Schedule
from apflow.tree import build
from apflow_hookspecs import TaskStatus

PENDING, RUNNING, WAITING = "pending", "running", "waiting"
LIMITS = {"narrow": 1, "wide": 2}


@st.composite
def arrays(draw):
    """A tree of up to nine tasks in any order, with groups, and with dependencies that make no circle."""
    size = draw(st.integers(1, 8))
    parents = [draw(st.integers(0, n)) for n in range(size)]  # node 0 is the root, node n + 1 hangs under parents[n]
    inner = set(parents)
    groups = {n for n in inner if n == 0 or draw(st.booleans())}
    rank = draw(st.permutations(range(size + 1)))
    under = {n: {n} for n in range(size + 1)}
    for n in range(size, 0, -1):
        under[parents[n - 1]] |= under[n]
    tasks = []
    for n in range(size + 1):
        task = {"id": f"n{n}", "parent_id": f"n{parents[n - 1]}" if n else None}
        if n not in groups:
            task["executor"] = draw(st.sampled_from(["free", "narrow", "wide"]))
            task["priority"] = draw(st.integers(0, 2))
            reach = {m: max(rank[k] for k in (under[m] - groups if m in groups else {m})) for m in range(size + 1)}
            allowed = [m for m in range(size + 1) if reach[m] < rank[n]]
            chosen = draw(st.lists(st.sampled_from(allowed), max_size=3, unique=True)) if allowed else []
            task["dependencies"] = [{"id": f"n{m}", "required": draw(st.booleans())} for m in chosen]
        tasks.append(task)
    return draw(st.permutations(tasks))


class Model:
    """One tree as the words of the design have it."""

    def __init__(self, array, asked):
        draft = build(array, now=0)
        assert draft.problems == ()
        self.plan, self.tasks = draft.plan, list(draft.tree)
        self.numbers = range(len(self.tasks))
        self.working = [n for n in self.numbers if self.tasks[n].executor]
        self.groups = [n for n in self.numbers if not self.tasks[n].executor]
        ids = {task.id: task.n for task in self.tasks}
        self.parents = [ids.get(task.parent_id) for task in self.tasks]
        self.needs = [{ids[d.task_id]: d.required for d in task.dependencies} for task in self.tasks]
        self.held = set() if asked is None else set(self.working) - self._closed([n for n in self.working if n in asked])
        self.state = [PENDING for _ in self.numbers]
        self.begun = set()
        self.cancelling = set()
        self.renew()

    def renew(self):
        """A course of it for a schedule that knows nothing yet."""
        for n, task in enumerate(self.tasks):
            began = n in self.begun and self.state[n] == PENDING
            task.status = TaskStatus("in_progress" if began or self.state[n] == RUNNING else self.state[n])
        held = {n for n in self.held if self.tasks[n].status == "pending"}
        self.course = Course(self.plan, self.tasks, held=held)
        self.ready = {}
        self.turns = {}

    def _closed(self, asked):
        """Who has to run that these may."""
        found = list(asked)
        for n in found:
            for m in self.needs[n]:
                found += [k for k in (self.under(m) if m in self.groups else [m]) if k not in found]
        return set(found)

    def above(self, n):
        while (n := self.parents[n]) is not None:
            yield n

    def under(self, n):
        return [m for m in self.working if n in self.above(m)]

    def settled(self, n):
        return self.state[n] in ("completed", "failed", "cancelled", "skipped")

    def runs(self, n):
        """Whether a working task was asked to run, or is a group without any that was not and is open."""
        if n in self.groups:
            return not any(m in self.held and not self.settled(m) for m in self.under(n))
        return n not in self.held

    def due(self):
        """What has to end now, and as what: by looking at everything."""
        found = {}
        for n in self.numbers:
            if self.settled(n):
                continue
            if n in self.groups:
                states = {self.state[m] for m in self.under(n)}
                if all(map(self.settled, self.under(n))):
                    found[n] = next(s for s in ("failed", "cancelled", "skipped", "completed") if s in states)
            elif self.state[n] == PENDING and n not in self.held and any(map(self.lets_down, self.required(n))):
                found[n] = "skipped"
        return found

    def required(self, n):
        return [m for m, required in self.needs[n].items() if required]

    def lets_down(self, n):
        return self.settled(n) and self.state[n] != "completed"

    def look(self, clock):
        """Take in who has become ready."""
        had = {self.tasks[n].priority for n in self.ready}
        for n in self.working:
            waits = self.state[n] != PENDING or n in self.held or n in self.ready
            if not waits and all(map(self.settled, self.needs[n])):
                self.ready[n] = clock
                if self.tasks[n].priority not in had:
                    self.turns[self.tasks[n].priority] = clock


class ScheduleAgainstModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.models = []
        self.clock = 0
        self.slots = None
        self.leftovers = []  # running tasks of removed trees: (course, n, executor)
        self.schedule = None

    def start(self, slots):
        self.slots = slots
        self.schedule = Schedule(slots, LIMITS)

    @precondition(lambda self: self.slots is None)
    @rule(slots=st.integers(1, 4))
    def has_slots(self, slots):
        self.start(slots)

    def having(self, *states):
        return [(model, n) for model in self.models for n in model.working if model.state[n] in states]

    def occupied(self, executor=None):
        held = [model.tasks[n].executor for model, n in self.having(RUNNING)] + [e for _, _, e in self.leftovers]
        return len(held) if executor is None else held.count(executor)

    def startable(self):
        """(priority, turn, since, model, n) of each task that may start."""
        if self.occupied() >= self.slots:
            return []
        return [
            (model.tasks[n].priority, model.turns[model.tasks[n].priority], since, model, n)
            for model in self.models
            for n, since in model.ready.items()
            if self.occupied(model.tasks[n].executor) < LIMITS.get(model.tasks[n].executor, 99)
        ]

    def told(self, model, ends):
        """Every end follows from what was before, and nothing that follows is left out."""
        for n, state, cause in ends:
            if n in model.groups:
                assert cause is None
            else:
                assert state == SKIPPED
                assert model.needs[n][cause]
                assert model.settled(cause)
                assert model.state[cause] != "completed"
            assert model.due()[n] == STATUSES[state]
            model.state[n] = STATUSES[state]
        assert model.due() == {}
        self.clock += 1
        model.look(self.clock)

    @precondition(lambda self: self.slots is not None and len(self.models) < 4)
    @rule(array=arrays(), asked=st.none() | st.sets(st.integers(0, 8)))
    def a_tree_is_added(self, array, asked):
        model = Model(array, asked)
        self.models.append(model)
        self.told(model, self.schedule.add(model.course))

    @precondition(lambda self: self.slots is not None)
    @rule()
    def claims_are_made(self):
        starts = self.schedule.claims()
        by_course = {id(model.course): model for model in self.models}
        for course, n in starts:
            model = by_course[id(course)]
            first = min(self.startable(), key=lambda found: found[:3])
            assert (model.tasks[n].priority, model.turns[model.tasks[n].priority], model.ready.get(n)) == first[:3]
            del model.ready[n]
            model.state[n] = RUNNING
            self.clock += 1
            model.turns[model.tasks[n].priority] = self.clock
            begin = [m for m in model.above(n) if m in model.groups and m not in model.begun]
            model.begun.update(begin)
            assert course.begin(n) == begin
        assert self.startable() == []

    @precondition(lambda self: self.having(RUNNING))
    @rule(data=st.data(), end=st.sampled_from([COMPLETED, COMPLETED, FAILED, CANCELLED]))
    def a_task_ends(self, data, end):
        model, n = data.draw(st.sampled_from(self.having(RUNNING)))
        self.end(model, n, end)

    def end(self, model, n, end):
        model.state[n] = STATUSES[end]
        self.schedule.released(model.course, n)
        self.told(model, self.schedule.settled(model.course, n, end))

    @precondition(lambda self: self.having(WAITING))
    @rule(data=st.data())
    def a_wait_fails(self, data):
        model, n = data.draw(st.sampled_from(self.having(WAITING)))
        model.state[n] = "failed"
        self.told(model, self.schedule.settled(model.course, n, FAILED))

    @precondition(lambda self: self.having(RUNNING))
    @rule(data=st.data())
    def a_task_waits(self, data):
        model, n = data.draw(st.sampled_from(self.having(RUNNING)))
        model.state[n] = WAITING
        self.schedule.released(model.course, n)
        self.schedule.waiting(model.course, n)

    @precondition(lambda self: self.having(WAITING, RUNNING))
    @rule(data=st.data())
    def a_task_is_ready_again(self, data):
        model, n = data.draw(st.sampled_from(self.having(WAITING, RUNNING)))
        self.come_back(model, n)

    def come_back(self, model, n):
        if model.state[n] == RUNNING:
            self.schedule.released(model.course, n)
        model.state[n] = PENDING
        self.schedule.again(model.course, n)
        self.clock += 1
        model.look(self.clock)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def some_are_cancelled(self, data):
        model = data.draw(st.sampled_from(self.models))
        chosen = data.draw(st.lists(st.sampled_from(model.numbers), min_size=1))
        ends, running = self.schedule.cancelled(model.course, chosen)
        assert set(running) == {n for n in chosen if model.state[n] == RUNNING}
        idle = {n for n in chosen if n in model.working and model.state[n] in (PENDING, WAITING)}
        assert sorted(ends[: len(idle)]) == sorted((n, CANCELLED, None) for n in idle)
        for n in idle:
            model.state[n] = "cancelled"
            model.ready.pop(n, None)
        self.told(model, ends[len(idle) :])

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def a_tree_is_removed(self, data):
        model = self.models.pop(data.draw(st.integers(0, len(self.models) - 1)))
        self.schedule.remove(model.course)
        self.leftovers += [(model.course, n, model.tasks[n].executor) for n in model.working if model.state[n] == RUNNING]

    @precondition(lambda self: self.leftovers)
    @rule(data=st.data())
    def a_slot_is_given_back_late(self, data):
        course, n, _ = self.leftovers.pop(data.draw(st.integers(0, len(self.leftovers) - 1)))
        self.schedule.released(course, n)

    @precondition(lambda self: self.models)
    @rule()
    def all_goes_on_in_another_engine(self):
        self.leftovers = []
        self.start(self.slots)
        for model in self.models:
            model.renew()
            ends = self.schedule.add(model.course)
            stood = {(n, model.state[n]) for n in model.groups if model.settled(n)}
            assert {(n, STATUSES[state]) for n, state, _ in ends} == stood
            self.told(model, [])

    @invariant()
    def a_tree_is_over_when_nothing_that_was_asked_for_is_open(self):
        for model in self.models:
            over = all(model.settled(n) or not model.runs(n) for n in model.numbers)
            assert (model.course.open == 0) == over

    @invariant()
    def slots_are_those_that_nobody_holds(self):
        assert self.slots is None or self.schedule.free == self.slots - self.occupied()

    def teardown(self):
        """Whatever happened, all that was asked to run comes to its end."""
        while self.leftovers:
            course, n, _ = self.leftovers.pop()
            self.schedule.released(course, n)
        for model, n in self.having(WAITING):
            self.come_back(model, n)
        while any(model.course.open for model in self.models):
            self.claims_are_made()
            running = self.having(RUNNING)
            assert running
            for model, n in running:
                self.end(model, n, COMPLETED)
        super().teardown()


TestScheduleAgainstModel = ScheduleAgainstModel.TestCase
TestScheduleAgainstModel.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
