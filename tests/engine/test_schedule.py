import pytest

from apflow.schedule import CANCELLED, COMPLETED, FAILED, SKIPPED, STATUSES, Course, Schedule
from apflow.tree import build
from apflow_hookspecs import TaskStatus

from .conftest import ROOT, job

MANY = 100_000


class Run:
    """Trees on their way through one schedule, in words: tasks are keys."""

    def __init__(self, max_concurrency=1000, limits=None):
        self.schedule = Schedule(max_concurrency, limits)
        self.courses = {}
        self.tasks = {}

    def add(self, *tasks, name="tree", statuses=None, scope=None):
        draft = build(tasks, now=0)
        assert draft.problems == ()
        for key, status in (statuses or {}).items():
            draft.tree.tasks[key].status = TaskStatus(status)
        self.tasks[name] = draft.tree.tasks
        working = [task for task in draft.tree if task.executor is not None and task.status == "pending"]
        held = () if scope is None else {task.n for task in working if task.key not in scope}
        self.courses[name] = Course(draft.plan, list(draft.tree), held=held)
        return self._told(name, self.schedule.add(self.courses[name]))

    def claims(self):
        names = {id(course): name for name, course in self.courses.items()}
        return [self._key(names[id(course)], n) for course, n in self.schedule.claims()]

    def ends(self, key, state=COMPLETED, name="tree"):
        self.released(key, name)
        return self._told(name, self.schedule.settled(self.courses[name], self._n(key, name), state))

    def released(self, key, name="tree"):
        self.schedule.released(self.courses[name], self._n(key, name))

    def waits(self, key, name="tree"):
        self.released(key, name)
        self.schedule.waiting(self.courses[name], self._n(key, name))

    def again(self, key, name="tree"):
        self.schedule.again(self.courses[name], self._n(key, name))

    def cancel(self, *keys, name="tree"):
        ends, running = self.schedule.cancelled(self.courses[name], [self._n(key, name) for key in keys])
        return self._told(name, ends), [self._key(name, n) for n in running]

    def over(self, name="tree"):
        return self.courses[name].open == 0

    def _n(self, key, name):
        return self.tasks[name][key].n

    def _key(self, name, n):
        return next(key for key, task in self.tasks[name].items() if task.n == n)

    def _told(self, name, ends):
        return [
            (self._key(name, n), STATUSES[state], None if cause is None else self._key(name, cause)) for n, state, cause in ends
        ]


# What is ready


def test_tasks_without_dependencies_are_ready_at_once_and_others_when_theirs_completed():
    run = Run()
    assert run.add(ROOT, job("a"), job("b", dependencies=["a"]), job("c", dependencies=["a", "d"]), job("d")) == []
    assert run.claims() == ["a", "d"]
    assert run.claims() == []
    assert run.ends("a") == []
    assert run.claims() == ["b"]
    run.ends("d")
    assert run.claims() == ["c"]
    run.ends("b")
    assert not run.over()
    assert run.ends("c") == [("root", "completed", None)]
    assert run.over()


def test_neither_parents_nor_places_in_the_array_order_anything():
    run = Run()
    run.add(job("child", parent="top"), job("top", parent=None), job("last", parent="child"))
    assert run.claims() == ["child", "top", "last"]


def test_a_reference_is_waited_for_like_a_dependency():
    run = Run()
    run.add(ROOT, job("b", inputs={"x": {"$from": "a"}}), job("a"))
    assert run.claims() == ["a"]
    run.ends("a")
    assert run.claims() == ["b"]


def test_a_failed_dependency_skips_its_dependents_and_theirs():
    run = Run()
    run.add(
        ROOT, job("a"), job("b", dependencies=["a"]), job("c", dependencies=["b"]), job("d", dependencies=["c", "x"]), job("x")
    )
    assert run.claims() == ["a", "x"]
    assert run.ends("a", FAILED) == [("b", "skipped", "a"), ("c", "skipped", "b"), ("d", "skipped", "c")]
    assert run.ends("x") == [("root", "failed", None)]
    assert run.over()


def test_an_optional_dependency_is_waited_for_whatever_its_end():
    optional = [{"id": "a", "required": False}]
    for end in (COMPLETED, FAILED, CANCELLED):
        run = Run()
        run.add(ROOT, job("a"), job("b", dependencies=optional))
        assert run.claims() == ["a"]
        assert run.ends("a", end) == []
        assert run.claims() == ["b"]


def test_an_optional_dependency_that_is_skipped_lets_its_dependents_go():
    run = Run()
    run.add(ROOT, job("a"), job("b", dependencies=["a"]), job("c", dependencies=[{"id": "b", "required": False}]))
    run.claims()
    assert run.ends("a", FAILED) == [("b", "skipped", "a")]
    assert run.claims() == ["c"]


def test_a_task_is_skipped_as_soon_as_it_can_never_run():
    run = Run()
    run.add(ROOT, job("slow"), job("a"), job("b", dependencies=[{"id": "slow", "required": False}, "a"]))
    run.claims()
    assert run.ends("a", FAILED) == [("b", "skipped", "a")]
    assert run.ends("slow") == [("root", "failed", None)]


# Groups


@pytest.mark.parametrize(
    ("ends", "end"),
    [
        ([COMPLETED, COMPLETED, COMPLETED], "completed"),
        ([COMPLETED, SKIPPED, COMPLETED], "skipped"),
        ([CANCELLED, SKIPPED, COMPLETED], "cancelled"),
        ([CANCELLED, FAILED, SKIPPED], "failed"),
    ],
)
def test_a_group_ends_as_the_worst_of_all_under_it(ends, end):
    run = Run()
    run.add(ROOT, job("g", executor=None), job("a", "g"), job("deep", "g", executor=None), job("b", "deep"), job("c", "b"))
    assert run.claims() == ["a", "b", "c"]
    assert run.ends("a", ends[0]) == run.ends("b", ends[1]) == []
    told = run.ends("c", ends[2])
    assert [key for key, _, _ in told] == ["deep", "g", "root"]
    assert told[1:] == [("g", end, None), ("root", end, None)]


def test_what_depends_on_a_group_waits_for_all_under_it():
    run = Run()
    run.add(ROOT, job("g", executor=None), job("a", "g"), job("b", "a"), job("after", dependencies=["g"]))
    assert run.claims() == ["a", "b"]
    run.ends("a")
    assert run.claims() == []
    assert run.ends("b") == [("g", "completed", None)]
    assert run.claims() == ["after"]


def test_what_requires_a_group_that_did_not_complete_is_skipped():
    run = Run()
    run.add(
        ROOT, job("g", executor=None), job("a", "g"), job("b", "g"), job("after", dependencies=["g"]),
        job("anyway", dependencies=[{"id": "g", "required": False}]),
    )  # fmt: skip
    run.claims()
    assert run.ends("a", FAILED) == []
    assert run.ends("b") == [("g", "failed", None), ("after", "skipped", "g")]
    assert run.claims() == ["anyway"]


def test_a_group_begins_with_the_first_task_claimed_under_it():
    run = Run()
    run.add(ROOT, job("g", executor=None), job("p", "g"), job("h", "p", executor=None), job("a", "h"), job("b", "h"))
    course, tasks = run.courses["tree"], run.tasks["tree"]
    begun = {key: [run._key("tree", n) for n in course.begin(tasks[key].n)] for key in ("a", "b", "p")}
    assert begun == {"a": ["h", "g", "root"], "b": [], "p": []}


# Priorities, turns, limits


def test_priorities_start_in_order_where_one_runs_at_a_time():
    run = Run(max_concurrency=1)
    run.add(ROOT, *(job(f"p{priority}", priority=priority) for priority in (3, 1, 9, 0, 2)))
    order = []
    while claimed := run.claims():
        order += claimed
        run.ends(*claimed)
    assert order == ["p0", "p1", "p2", "p3", "p9"]


def test_priorities_are_strict_over_all_trees_and_dependencies_beat_them():
    run = Run(max_concurrency=1)
    run.add(ROOT, job("a0"), job("a1", priority=3), name="a")
    run.add(ROOT, job("b0", priority=0, dependencies=["b1"]), job("b1", priority=3), name="b")
    assert run.claims() == ["a0"]
    run.ends("a0", name="a")
    assert run.claims() == ["a1"]
    run.ends("a1", name="a")
    assert run.claims() == ["b1"]
    run.add(ROOT, job("c", priority=1), name="c")
    run.ends("b1", name="b")
    assert run.claims() == ["b0"]


def test_within_a_tree_the_task_that_became_ready_first_goes_first():
    run = Run(max_concurrency=1)
    run.add(ROOT, job("a"), job("after", dependencies=["a"]), job("b"), job("c"))
    order = run.claims()
    while not run.over():
        run.ends(order[-1])
        order += run.claims()
    assert order == ["a", "b", "c", "after"]


def tree_of(letter, count, **fields):
    return [ROOT, *(job(f"{letter}{n}", **fields) for n in range(count))]


def test_trees_of_one_priority_take_turns():
    run = Run(max_concurrency=2)
    run.add(*tree_of("a", 5), name="a")
    assert run.claims() == ["a0", "a1"]
    run.add(*tree_of("b", 3), name="b")
    run.add(*tree_of("c", 2), name="c")
    order = []
    running = ["a0", "a1"]
    while running:
        run.ends(running[0], name=running[0][0])
        started = run.claims()
        order += started
        running = [*running[1:], *started]
    assert order == ["a2", "b0", "c0", "a3", "b1", "c1", "a4", "b2"]


def test_tasks_of_an_executor_at_its_limit_are_passed_over_and_keep_their_places():
    run = Run(max_concurrency=3, limits={"x": 1})
    run.add(ROOT, job("x0", executor="x"), job("x1", executor="x"), job("x2", executor="x"), job("a"), job("b"), job("c"))
    assert run.claims() == ["x0", "a", "b"]
    run.ends("a")
    assert run.claims() == ["c"]
    run.ends("x0")
    run.ends("b")
    assert run.claims() == ["x1"]
    run.ends("x1")
    assert run.claims() == ["x2"]


def test_places_are_kept_when_several_slots_of_an_executor_come_free_together():
    run = Run(max_concurrency=10, limits={"x": 2})
    run.add(*tree_of("x", 6, executor="x"))
    assert run.claims() == ["x0", "x1"]
    run.ends("x0")
    run.ends("x1")
    assert run.claims() == ["x2", "x3"]


def test_a_more_urgent_task_takes_an_executors_slot_and_nobody_loses_a_place_by_it():
    run = Run(max_concurrency=10, limits={"x": 1})
    run.add(ROOT, job("x0", executor="x"), *(job(f"x{n}", executor="x") for n in (1, 2)),
            job("urgent", executor="x", priority=0, dependencies=["x0"]))  # fmt: skip
    order = run.claims()
    while not run.over():
        run.ends(order[-1])
        order += run.claims()
    assert order == ["x0", "urgent", "x1", "x2"]


def test_a_tree_that_is_passed_over_does_not_lose_its_turn():
    run = Run(max_concurrency=2, limits={"x": 1})
    run.add(ROOT, job("x0", executor="x"), job("x1", executor="x"), job("a"), name="a")
    run.add(*tree_of("b", 3), name="b")
    assert run.claims() == ["x0", "b0"]
    run.ends("b0", name="b")
    assert run.claims() == ["a"]  # its x1 has to wait, and its turn it is


def test_trees_take_turns_at_a_limited_executor_too():
    run = Run(max_concurrency=10, limits={"x": 1})
    run.add(*tree_of("a", 50, executor="x"), name="a")
    assert run.claims() == ["a0"]
    run.add(*tree_of("b", 2, executor="x"), name="b")
    order = ["a0"]
    for _ in range(4):
        run.ends(order[-1], name=order[-1][0])
        order += run.claims()
    assert order == ["a0", "a1", "b0", "a2", "b1"]


def test_a_slot_that_came_free_is_not_lost_with_the_task_that_was_next():
    # Whoever was next at the limit is cancelled, or gone with its tree: the one behind it starts.
    run = Run(limits={"x": 1})
    run.add(*tree_of("x", 3, executor="x"))
    run.claims()
    run.ends("x0")
    run.cancel("x1")
    assert run.claims() == ["x2"]

    run = Run(limits={"x": 1})
    run.add(*tree_of("a", 2, executor="x"), name="a")
    run.add(*tree_of("b", 1, executor="x"), name="b")
    assert run.claims() == ["a0"]
    run.ends("a0", name="a")
    run.schedule.remove(run.courses["a"])
    assert run.claims() == ["b0"]


# Waiting, coming back, cancelling, leaving


def test_a_waiting_task_holds_no_slot_and_comes_back_behind_the_ready_ones():
    run = Run(max_concurrency=1, limits={"noop": 1})
    run.add(ROOT, job("a"), job("b"), job("after", dependencies=["a"]))
    assert run.claims() == ["a"]
    run.waits("a")
    run.again("a")
    assert run.claims() == ["b"]
    assert run.ends("b") == []
    assert run.claims() == ["a"]
    run.ends("a")
    assert run.claims() == ["after"]


def test_an_attempt_that_was_lost_is_ready_again():
    run = Run()
    run.add(ROOT, job("a"))
    run.claims()
    run.released("a")
    run.again("a")
    assert run.claims() == ["a"]
    assert run.ends("a") == [("root", "completed", None)]


def test_cancelling_ends_what_does_not_run_and_tells_what_does():
    run = Run(max_concurrency=2)
    run.add(
        ROOT, job("running"), job("waiting"), job("ready"), job("pending", dependencies=["running"]),
        job("after", dependencies=["ready"]), job("anyway", dependencies=[{"id": "ready", "required": False}]),
    )  # fmt: skip
    assert run.claims() == ["running", "waiting"]
    run.waits("waiting")
    ends, running = run.cancel("root", "running", "waiting", "ready", "pending")
    assert running == ["running"]
    assert ends == [
        ("waiting", "cancelled", None), ("ready", "cancelled", None), ("pending", "cancelled", None),
        ("after", "skipped", "ready"),
    ]  # fmt: skip
    assert run.claims() == ["anyway"]
    assert run.ends("running", CANCELLED) == []
    assert run.ends("anyway") == [("root", "cancelled", None)]
    assert run.over()


def test_cancelling_again_or_what_has_settled_changes_nothing():
    run = Run()
    run.add(ROOT, job("a"), job("b", dependencies=["a"]))
    run.claims()
    run.ends("a")
    assert run.cancel("a", "b", "b") == ([("b", "cancelled", None), ("root", "cancelled", None)], [])
    assert run.cancel("root", "a", "b") == ([], [])
    assert run.over()


def test_a_tree_whose_last_ready_task_was_cancelled_comes_back_behind_the_others():
    run = Run(max_concurrency=1)
    run.add(ROOT, job("busy"), name="busy")
    run.claims()
    run.add(ROOT, job("a0"), job("a1", dependencies=[{"id": "a0", "required": False}]), name="a")
    run.add(ROOT, job("b0"), name="b")
    run.cancel("a0", name="a")
    run.ends("busy", name="busy")
    assert run.claims() == ["b0"]


def test_what_was_not_asked_to_run_is_left_and_keeps_its_groups_open():
    run = Run()
    tasks = [
        ROOT,
        job("g", executor=None),
        job("a", "g"),
        job("held", "g", dependencies=["a"]),
        job("h", executor=None),
        job("b", "h"),
    ]
    assert run.add(*tasks, scope=["a", "b"]) == []
    assert run.claims() == ["a", "b"]
    assert run.ends("a", FAILED) == []
    assert run.ends("b") == [("h", "completed", None)]
    assert run.over()
    assert run.cancel("held") == ([("held", "cancelled", None), ("g", "failed", None), ("root", "failed", None)], [])
    assert run.over()


@pytest.mark.parametrize("first", ["child", "parent"])
def test_a_task_that_was_not_asked_to_run_is_left_though_one_under_it_was_not_asked_either(first):
    tasks = [job("child", "parent"), job("parent")]
    run = Run()
    run.add(ROOT, *(tasks if first == "child" else reversed(tasks)), job("asked"), scope=["asked"])
    assert run.claims() == ["asked"]
    run.ends("asked")
    assert run.over()


def test_a_tree_goes_on_from_where_its_tasks_stand():
    run = Run(max_concurrency=1)
    statuses = {
        "root": "in_progress", "g": "completed", "a": "completed", "failed": "failed", "skipped": "skipped",
        "waiting": "waiting", "running": "in_progress",
    }  # fmt: skip
    ends = run.add(
        ROOT, job("g", executor=None), job("a", "g"), job("b", dependencies=["g", "a"]), job("failed"),
        job("skipped", dependencies=["failed"]), job("lost", dependencies=["skipped"]), job("waiting"), job("running"),
        job("c", dependencies=["waiting"]), statuses=statuses,
    )  # fmt: skip
    assert sorted(ends, key=str) == [("g", "completed", None), ("lost", "skipped", "skipped")]
    assert run.claims() == []  # the one that is in progress has the only slot
    run.ends("running")
    assert run.claims() == ["b"]
    run.ends("b")
    run.again("waiting")
    assert run.claims() == ["waiting"]
    run.ends("waiting")
    assert run.claims() == ["c"]
    assert run.ends("c") == [("root", "failed", None)]
    assert run.over()


def test_nothing_of_a_removed_tree_starts_any_more():
    run = Run(max_concurrency=2, limits={"x": 1})
    run.add(
        ROOT, job("a"), job("x0", executor="x"), job("x1", executor="x"), job("b"), job("after", dependencies=["a"]),
        job("waiting"), name="gone",
    )  # fmt: skip
    run.add(*tree_of("s", 2), name="stays")
    assert run.claims() == ["a", "s0"]
    run.schedule.remove(run.courses["gone"])
    run.schedule.remove(run.courses["gone"])
    assert run.claims() == []
    run.ends("a", name="gone")
    run.again("waiting", name="gone")
    assert run.claims() == ["s1"]
    assert run.schedule.free == 0


# Size


def settle_all(schedule, course):
    """Run a tree to its end: every task completes as soon as it is claimed, one after the other."""
    while claimed := schedule.claims():
        for _, n in claimed:
            course.begin(n)
            schedule.released(course, n)
            schedule.settled(course, n, COMPLETED)
    assert course.open == 0


def chain(count):
    return [ROOT, *(job(f"t{n}", dependencies=[f"t{n - 1}"] if n else []) for n in range(count))]


def fan(count):
    return [ROOT, job("first"), *(job(f"t{n}", dependencies=["first"]) for n in range(count)),
            job("last", dependencies=[f"t{n}" for n in range(count)])]  # fmt: skip


def groups(count):
    half = count // 2
    return [ROOT, job("g", executor=None), *(job(f"a{n}", "g") for n in range(half)),
            *(job(f"b{n}", dependencies=["g"]) for n in range(half))]  # fmt: skip


def deep(count):
    return [ROOT, *(job(f"t{n}", f"t{n - 1}" if n else "root", executor=None if n < count // 2 else "x") for n in range(count))]


def limited(count):
    return [ROOT, *(job(f"t{n}", executor="limited" if n % 2 else "noop", priority=n % 3) for n in range(count))]


@pytest.mark.parametrize("shape", [chain, fan, deep])
def test_trees_of_any_size_settle_without_recursion(shape):
    draft = build(shape(MANY), now=0)
    course, schedule = Course(draft.plan, list(draft.tree)), Schedule(1000)
    schedule.add(course)
    settle_all(schedule, course)


def test_a_failure_and_a_cancellation_carry_through_trees_of_any_size():
    draft = build(chain(MANY), now=0)
    course, schedule = Course(draft.plan, list(draft.tree)), Schedule(1000)
    schedule.add(course)
    ((_, n),) = schedule.claims()
    assert len(schedule.settled(course, n, FAILED)) == MANY
    assert course.open == 0
    course = Course(draft.plan, list(draft.tree))
    schedule.add(course)
    ends, running = schedule.cancelled(course, range(MANY + 1))
    assert (len(ends), running, course.open) == (MANY + 1, [], 0)


@pytest.mark.parametrize("shape", [chain, fan, groups, deep, limited])
def test_a_task_costs_the_same_in_a_tree_of_any_size(steps, shape):
    def cost(count):
        draft = build(shape(count), now=0)
        tasks = list(draft.tree)
        schedule = Schedule(100, {"limited": 10})

        def whole():
            course = Course(draft.plan, tasks)
            schedule.add(course)
            settle_all(schedule, course)

        return steps(whole) / count

    assert cost(30_000) < 1.1 * cost(1_000)


def test_a_task_costs_the_same_whatever_the_number_of_trees(steps):
    def cost(count):
        draft = build(tree_of("x", 2, executor="limited"), now=0)
        tasks = list(draft.tree)
        schedule = Schedule(100, {"limited": 10})

        def all_of_them():
            for _ in range(count):
                schedule.add(Course(draft.plan, tasks))
            ended = 0
            while claimed := schedule.claims():
                for course, n in claimed:
                    schedule.released(course, n)
                    schedule.settled(course, n, COMPLETED)
                    if not course.open:
                        schedule.remove(course)
                        ended += 1
            assert ended == count

        return steps(all_of_them) / count

    assert cost(5_000) < 1.1 * cost(500)
